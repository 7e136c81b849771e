"""Who may change data: whoever sends the administrator's token."""

import hmac


def is_authorized(credentials: str, admin_token: str | None) -> bool:
    """Tell whether the credentials, of an Authorization header, are `Bearer <admin_token>`.

    Without a token everybody may: the server then listens on this machine alone.
    """
    if admin_token is None:
        return True
    scheme, _, token = credentials.partition(" ")
    # Compared in constant time, so that its time tells nothing about the token.
    matches = hmac.compare_digest(
        token.strip().encode(errors="surrogatepass"), admin_token.encode()
    )
    return scheme.lower() == "bearer" and matches
