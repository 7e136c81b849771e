"""Authorization by the administrator's token."""

import hmac


def is_authorized(credentials: str, admin_token: str | None) -> bool:
    """Return whether the value of an Authorization header is `Bearer <admin_token>`.

    Without a token every client is authorized: the server then listens on the loopback only.
    """
    if admin_token is None:
        return True
    scheme, _, token = credentials.partition(" ")
    # Constant time: a comparison that stops early would reveal how much of the token matches.
    matches = hmac.compare_digest(
        token.strip().encode(errors="surrogatepass"), admin_token.encode()
    )
    return scheme.lower() == "bearer" and matches
