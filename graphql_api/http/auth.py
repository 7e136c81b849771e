"""Authorization by the administrator's token."""

import hmac


def is_authorized(credentials: str, admin_token: str | None) -> bool:
    """Return whether the value of an Authorization header is `Bearer <admin_token>`.

    Without a token every client is authorized: the server then listens on the loopback only.
    """
    if admin_token is None:
        return True
    scheme, _, token = credentials.partition(" ")
    token_bytes = token.strip().encode(errors="surrogatepass")
    # Constant time: a comparison that stops early would reveal how much of the token matches.
    return scheme.lower() == "bearer" and hmac.compare_digest(token_bytes, admin_token.encode())
