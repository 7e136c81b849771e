"""Who may change data: whoever sends the administrator's token."""

import hmac

from starlette.requests import Request


def is_authorized(request: Request, admin_token: str | None) -> bool:
    """Tell whether the request carries `Authorization: Bearer <admin_token>`.

    Without a token everybody may: the server then listens on this machine alone.
    """
    if admin_token is None:
        return True
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Compared in constant time, so that its time tells nothing about the token.
    matches = hmac.compare_digest(given.strip().encode(), admin_token.encode())
    return scheme.lower() == "bearer" and matches
