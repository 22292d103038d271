"""A Gmail on one machine: the API, the consent pages, push and a small web mailbox.

`GmailWorld` is the mail itself, without HTTP; `create_app` serves it over WSGI.
"""

from .accounts import Account
from .app import create_app
from .consent import consent
from .errors import ApiError, ConnectionLost, OAuthError
from .faults import Fault
from .oauth_records import Client, Tokens, client_file
from .running import Simulator
from .settings import Settings
from .transport import InProcessHttp, WsgiAdapter
from .world import Delivered, GmailWorld, OutsideMail

__all__ = [
    "Account",
    "ApiError",
    "Client",
    "ConnectionLost",
    "Delivered",
    "Fault",
    "GmailWorld",
    "InProcessHttp",
    "OAuthError",
    "OutsideMail",
    "Settings",
    "Simulator",
    "Tokens",
    "WsgiAdapter",
    "client_file",
    "consent",
    "create_app",
]
