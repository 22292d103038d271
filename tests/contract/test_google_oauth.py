"""The OAuth gateway: against the Gmail simulator's consent and token endpoints."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from requests.adapters import BaseAdapter

from gmail_simulator import (
    Client,
    GmailWorld,
    InProcessHttp,
    WsgiAdapter,
    client_file,
    create_app,
)
from shared.core.consent import missing_scopes
from shared.errors import (
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    SyncError,
    Transient,
)
from shared.gateways.google_oauth import SCOPES, GoogleOAuth
from shared.ports import Grant

ANN = "ann@acme.test"
BASE = "http://localhost:8025"
REDIRECT = "http://localhost:8080/oauth/callback"
VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    .rstrip(b"=")
    .decode()
)


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> GmailWorld:
    world = GmailWorld(clock.now, 7)
    world.add_account(ANN, "Ann")
    known = next(iter(world.oauth.clients.values()))
    world.oauth.register(Client(known.client_id, known.secret, (REDIRECT,)))
    return world


@pytest.fixture
def session(world: GmailWorld) -> requests.Session:
    session = requests.Session()
    session.mount(BASE, WsgiAdapter(create_app(world)))
    return session


def gateway(
    world: GmailWorld, session: requests.Session, clock: Clock, **changed: str
) -> GoogleOAuth:
    app = create_app(world)
    client = client_file(BASE, [REDIRECT])["web"] | changed
    return GoogleOAuth(
        client,
        REDIRECT,
        gmail_endpoint=BASE,
        session=session,
        http_factory=lambda _repeatable: InProcessHttp(app, timeout=20),
        clock=clock,
    )


@pytest.fixture
def google(world: GmailWorld, session: requests.Session, clock: Clock) -> GoogleOAuth:
    return gateway(world, session, clock)


def consent(
    google: GoogleOAuth, session: requests.Session, scopes: tuple[str, ...] = SCOPES
) -> dict[str, str]:
    """Go through the consent page as the user, ticking these scopes."""
    url = google.authorization_url(state="s", code_challenge=CHALLENGE, login_hint=ANN)
    answer = session.post(
        url,
        data={"account": ANN, "decision": "allow", "scope": list(scopes)},
        allow_redirects=False,
    )
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {name: values[0] for name, values in query.items()}


def connect(google: GoogleOAuth, session: requests.Session) -> Grant:
    return google.exchange(
        code=consent(google, session)["code"], code_verifier=VERIFIER
    )


# --- consent ---------------------------------------------------------------------


def test_the_consent_url_asks_for_what_the_rules_say(google: GoogleOAuth) -> None:
    url = google.authorization_url(state="st", code_challenge="ch", login_hint=None)
    assert url.startswith(f"{BASE}/o/oauth2/v2/auth?")
    assert parse_qs(urlsplit(url).query) == {
        "client_id": ["000000000000-simulator.apps.googleusercontent.com"],
        "redirect_uri": [REDIRECT],
        "response_type": ["code"],
        "scope": [" ".join(SCOPES)],
        "access_type": ["offline"],
        "prompt": ["consent select_account"],
        "state": ["st"],
        "code_challenge": ["ch"],
        "code_challenge_method": ["S256"],
    }
    hinted = google.authorization_url(
        state="st", code_challenge="ch", login_hint="a+b@c.de"
    )
    assert parse_qs(urlsplit(hinted).query)["login_hint"] == ["a+b@c.de"]


def test_the_scopes_do_the_job_and_no_more(google: GoogleOAuth) -> None:
    """By the API's own description: every method we call, none that alters mail."""
    from googleapiclient import discovery_cache

    document = json.loads(discovery_cache.get_static_doc("gmail", "v1"))
    methods: dict[str, set[str]] = {}

    def walk(resource: dict[str, Any]) -> None:
        for method in resource.get("methods", {}).values():
            methods[method["id"].removeprefix("gmail.users.")] = set(method["scopes"])
        for inner in resource.get("resources", {}).values():
            walk(inner)

    walk(document)
    asked = set(google.scopes)
    for name in (
        "getProfile",
        "watch",
        "stop",
        "history.list",
        "messages.get",
        "messages.list",
        "messages.attachments.get",
        "settings.sendAs.list",
        "drafts.create",
        "drafts.get",
        "drafts.send",
        "drafts.delete",
        "threads.get",
    ):
        assert asked & methods[name], name
    for name in (
        "messages.modify",
        "messages.trash",
        "messages.delete",
        "labels.create",
    ):
        assert not asked & methods[name], name


def test_a_code_becomes_a_grant(google: GoogleOAuth, session: requests.Session) -> None:
    grant = connect(google, session)
    assert grant.address == ANN
    assert grant.google_sub.isdigit()
    assert grant.refresh_token
    assert missing_scopes(google.scopes, grant.scopes) == ()


def test_a_permission_that_was_not_ticked_is_missing(
    google: GoogleOAuth, session: requests.Session
) -> None:
    code = consent(google, session, SCOPES[:3])["code"]
    grant = google.exchange(code=code, code_verifier=VERIFIER)
    assert missing_scopes(google.scopes, grant.scopes) == (SCOPES[3],)


def test_the_grant_opens_the_mailbox(
    google: GoogleOAuth, session: requests.Session
) -> None:
    token = connect(google, session).refresh_token
    assert token is not None
    assert google.gmail(token).profile().address == ANN


@pytest.mark.parametrize(
    "form",
    [
        {"code": "4/0unknown", "code_verifier": VERIFIER},
        {"code": None, "code_verifier": "x" * 64},
        {"code": None, "code_verifier": ""},
    ],
)
def test_a_bad_code_or_verifier_is_malformed(
    google: GoogleOAuth, session: requests.Session, form: dict[str, Any]
) -> None:
    if form["code"] is None:
        form["code"] = consent(google, session)["code"]
    with pytest.raises(Malformed):
        google.exchange(**form)


def test_a_code_works_once_and_not_for_ever(
    google: GoogleOAuth, session: requests.Session, clock: Clock
) -> None:
    used = consent(google, session)["code"]
    google.exchange(code=used, code_verifier=VERIFIER)
    with pytest.raises(Malformed):
        google.exchange(code=used, code_verifier=VERIFIER)
    old = consent(google, session)["code"]
    clock.time += timedelta(minutes=11)
    with pytest.raises(Malformed):
        google.exchange(code=old, code_verifier=VERIFIER)


def test_a_wrong_client_secret_is_the_deployments_fault(
    world: GmailWorld, session: requests.Session, clock: Clock, google: GoogleOAuth
) -> None:
    token = connect(google, session).refresh_token
    assert token is not None
    broken = gateway(world, session, clock, client_secret="wrong")
    with pytest.raises(Misconfigured):
        broken.exchange(code=consent(google, session)["code"], code_verifier=VERIFIER)
    with pytest.raises(Misconfigured):
        broken.gmail(token).profile()


# --- faults ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"action": "status", "status": 500}, Transient),
        ({"action": "status", "status": 503}, Transient),
        ({"action": "status", "status": 429}, RateLimited),
        ({"action": "drop_before"}, Transient),
        ({"action": "drop_after"}, Transient),
        (
            {"action": "status", "status": 401, "reason": "invalid_client"},
            Misconfigured,
        ),
        (
            {"action": "status", "status": 401, "reason": "unauthorized_client"},
            Misconfigured,
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", ["exchange", "refresh"])
def test_faults_of_the_token_endpoint(
    world: GmailWorld,
    google: GoogleOAuth,
    session: requests.Session,
    rule: dict[str, Any],
    error: type[SyncError],
    call: str,
) -> None:
    token = connect(google, session).refresh_token or ""
    code = consent(google, session)["code"]
    world.faults.add(method="oauth.token", **rule)
    calls: dict[str, Callable[[], object]] = {
        "exchange": lambda: google.exchange(code=code, code_verifier=VERIFIER),
        "refresh": lambda: google.gmail(token).profile(),
    }
    with pytest.raises(SyncError) as raised:
        calls[call]()
    assert type(raised.value) is error
    assert token not in str(raised.value)
    assert code not in str(raised.value)


@pytest.mark.parametrize(
    ("description", "subtype"),
    [
        ("Token has been expired or revoked.", None),
        ("Bad Request", "invalid_rapt"),
        ("Account restricted by policy", "admin_policy"),
    ],
)
def test_every_invalid_grant_needs_the_owner(
    world: GmailWorld,
    google: GoogleOAuth,
    session: requests.Session,
    description: str,
    subtype: str | None,
) -> None:
    token = connect(google, session).refresh_token or ""
    world.oauth.block(world.account(ANN), description, subtype)
    with pytest.raises(NeedsReauth):
        google.gmail(token).profile()
    world.oauth.unblock(world.account(ANN))
    assert google.gmail(token).profile().address == ANN


@pytest.mark.parametrize("status", [429, 500, 503])
def test_keys_that_cannot_be_fetched_fail_before_the_code_is_used(
    world: GmailWorld, google: GoogleOAuth, session: requests.Session, status: int
) -> None:
    code = consent(google, session)["code"]
    fault = world.faults.add("status", method="oauth.certs", status=status)
    with pytest.raises(Transient):
        google.exchange(code=code, code_verifier=VERIFIER)
    world.faults.remove(fault)
    assert google.exchange(code=code, code_verifier=VERIFIER).address == ANN


# --- access tokens ---------------------------------------------------------------


def test_an_access_token_is_fetched_once_and_used_until_it_ends(
    world: GmailWorld, google: GoogleOAuth, session: requests.Session, clock: Clock
) -> None:
    token = connect(google, session).refresh_token or ""
    before = world.calls.count("oauth.token")
    for _ in range(5):
        google.gmail(token).profile()
    assert world.calls.count("oauth.token") == before + 1
    clock.time += timedelta(seconds=3599 - 60)
    google.gmail(token).profile()
    assert world.calls.count("oauth.token") == before + 2


def test_concurrent_callers_share_one_refresh(
    world: GmailWorld, google: GoogleOAuth, session: requests.Session
) -> None:
    token = connect(google, session).refresh_token or ""
    before = world.calls.count("oauth.token")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: google.gmail(token).profile(), range(16)))
    assert {profile.address for profile in found} == {ANN}
    assert world.calls.count("oauth.token") == before + 1


def test_a_refused_access_token_is_refreshed_once(
    world: GmailWorld, google: GoogleOAuth, session: requests.Session
) -> None:
    token = connect(google, session).refresh_token or ""
    gmail = google.gmail(token)
    gmail.profile()
    world.oauth.expire_access_tokens(world.account(ANN))
    before = world.calls.count("oauth.token")
    assert gmail.profile().address == ANN
    assert world.calls.count("oauth.token") == before + 1
    assert google.gmail(token).profile().address == ANN
    assert world.calls.count("oauth.token") == before + 1


# --- revoking --------------------------------------------------------------------


def test_revoking_ends_the_grant_and_twice_is_fine(
    world: GmailWorld, google: GoogleOAuth, session: requests.Session
) -> None:
    token = connect(google, session).refresh_token or ""
    gmail = google.gmail(token)
    gmail.profile()
    google.revoke(token)
    google.revoke(token)
    with pytest.raises(NeedsReauth):
        gmail.profile()


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"action": "status", "status": 503}, Transient),
        ({"action": "drop_before"}, Transient),
        ({"action": "status", "status": 403, "reason": "forbidden"}, Permanent),
    ],
    ids=str,
)
def test_a_revocation_that_did_not_happen_is_an_error(
    world: GmailWorld,
    google: GoogleOAuth,
    session: requests.Session,
    rule: dict[str, Any],
    error: type[SyncError],
) -> None:
    token = connect(google, session).refresh_token or ""
    world.faults.add(method="oauth.revoke", **rule)
    with pytest.raises(SyncError) as raised:
        google.revoke(token)
    assert type(raised.value) is error


class Moved(BaseAdapter):
    """A server that sends whoever asks on to another one, and keeps what comes there."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.asked.append(request)
        answer = requests.Response()
        # 307: the form goes along.
        answer.request = request
        answer.status_code, answer.url = 307, str(request.url)
        answer.headers["Location"] = "https://evil.example/steal"
        answer.raw = io.BytesIO()
        return answer

    def close(self) -> None:
        pass


@pytest.mark.parametrize("call", ["exchange", "refresh", "revoke"])
def test_no_secret_goes_where_a_redirect_points(
    google: GoogleOAuth, session: requests.Session, call: str
) -> None:
    token = connect(google, session).refresh_token or ""
    moved, evil = Moved(), Moved()
    session.mount(BASE, moved)
    session.mount("https://evil.example", evil)
    calls: dict[str, Callable[[], object]] = {
        "exchange": lambda: google.exchange(code="c", code_verifier=VERIFIER),
        "refresh": lambda: google.gmail(token).profile(),
        "revoke": lambda: google.revoke(token),
    }
    with pytest.raises(SyncError):
        calls[call]()
    assert len(moved.asked) == 1
    assert evil.asked == []


# --- settings --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["auth_uri", "token_uri", "auth_provider_x509_cert_url"]
)
@pytest.mark.parametrize("url", ["http://example.com/x", "ftp://localhost/x", "", "x"])
def test_endpoints_that_would_leak_secrets_are_refused(
    world: GmailWorld, session: requests.Session, clock: Clock, name: str, url: str
) -> None:
    with pytest.raises(Misconfigured):
        gateway(world, session, clock, **{name: url})


def test_no_secret_is_in_a_repr(google: GoogleOAuth, session: requests.Session) -> None:
    grant = connect(google, session)
    assert grant.refresh_token is not None
    google.gmail(grant.refresh_token).profile()
    shown = repr(google) + repr(grant) + repr(google.gmail(grant.refresh_token))
    shown += repr(vars(google._access_tokens))
    assert grant.refresh_token not in shown
    assert "simulator-client-secret" not in shown
    assert "ya29." not in shown


# --- ID tokens -------------------------------------------------------------------

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)
NOW = int(Clock().now().timestamp())
CLIENT = "client-1"


def jwk(key: rsa.RSAPrivateKey, kid: str, **changed: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())
    )
    return made | {"kid": kid, "alg": "RS256", "use": "sig"} | changed


def pem(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "federated-signon")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        .decode()
    )


CLAIMS: dict[str, Any] = {
    "iss": "https://accounts.google.com",
    "aud": CLIENT,
    "azp": CLIENT,
    "sub": "1234567890",
    "email": ANN,
    "email_verified": True,
    "iat": NOW,
    "exp": NOW + 3600,
}


def signed(
    key: Any = KEY, kid: str | None = "k1", algorithm: str = "RS256", **changed: Any
) -> str:
    claims = {
        name: value for name, value in (CLAIMS | changed).items() if value is not None
    }
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


@dataclass
class Answers(BaseAdapter):
    """Google's token endpoint and keys, saying what a test wants."""

    id_token: Any = field(default_factory=signed)
    keys: Any = field(default_factory=lambda: {"keys": [jwk(KEY, "k1")]})
    status: int = 200
    fetched: int = 0
    token_answer: dict[str, Any] | None = None

    def send(self, request: requests.PreparedRequest, **_options: Any) -> Any:
        response = requests.Response()
        response.request = request
        response.url = request.url or ""
        body: Any
        if request.url == "https://keys.example/certs":
            self.fetched += 1
            response.status_code, body = self.status, self.keys
        else:
            response.status_code = 200
            body = self.token_answer or {
                "id_token": self.id_token,
                "refresh_token": "r",
                "access_token": "a",
                "scope": "openid email",
            }
        text = body if isinstance(body, str) else json.dumps(body)
        response._content = text.encode()
        return response

    def close(self) -> None:
        pass


def exchanging(answers: Answers, clock: Clock | None = None) -> Callable[[], Grant]:
    answers.__dict__.setdefault("config", {})
    session = requests.Session()
    session.mount("https://", answers)
    google = GoogleOAuth(
        {
            "client_id": CLIENT,
            "client_secret": "s",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://keys.example/certs",
        },
        "https://crm.example/oauth/callback",
        session=session,
        clock=clock or Clock(),
    )
    return lambda: google.exchange(code="c", code_verifier=VERIFIER)


@pytest.mark.parametrize(
    "keys",
    [
        {"keys": [jwk(KEY, "k1")]},
        {"keys": [jwk(OTHER_KEY, "k0"), jwk(KEY, "k1")]},
        {"keys": [{"kty": "EC", "kid": "x"}, "junk", jwk(KEY, "k1")]},
        {"k1": pem(KEY)},
        {"k0": pem(OTHER_KEY), "k1": pem(KEY), "k2": "junk", "k3": 5},
        {"k1": public_pem(KEY)},
    ],
    ids=["jwk", "jwks", "jwks with others", "pem", "pems", "public pem"],
)
def test_keys_are_read_in_every_form_that_google_serves(keys: Any) -> None:
    grant = exchanging(Answers(keys=keys))()
    assert (grant.address, grant.google_sub) == (ANN, "1234567890")
    assert grant.scopes == {"openid", "email"}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "accounts.google.com"},
        {"iss": "https://oauth2.googleapis.com"},
        {"email_verified": "true"},
        {"azp": None},
        {"exp": NOW - 30},
        {"iat": NOW + 30},
        {"kid": None},
    ],
    ids=str,
)
def test_id_tokens_that_are_good(changed: dict[str, Any]) -> None:
    assert exchanging(Answers(id_token=signed(**changed)))().address == ANN


def unsigned() -> str:
    return jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "k1"})


def confused() -> str:
    """HS256 keyed with the public key: the classic confusion."""
    raw = public_pem(KEY).encode()
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "k1"}, CLAIMS)
    ]
    import hmac

    mac = hmac.new(raw, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


@pytest.mark.parametrize(
    "make",
    [
        lambda: None,
        lambda: "",
        lambda: "a.b.c",
        lambda: 5,
        lambda: signed()[:-6] + "AAAAAA",
        lambda: signed(OTHER_KEY),
        lambda: signed(kid="unknown"),
        lambda: signed(algorithm="RS384"),
        lambda: signed(algorithm="PS256"),
        lambda: signed(ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        unsigned,
        confused,
        lambda: signed(iss="https://evil.example"),
        lambda: signed(iss=None),
        lambda: signed(aud="client-2"),
        lambda: signed(aud=[CLIENT]),
        lambda: signed(aud=None),
        lambda: signed(azp="client-2"),
        lambda: signed(exp=NOW - 61),
        lambda: signed(exp=None),
        lambda: signed(exp=True),
        lambda: signed(exp="soon"),
        lambda: signed(iat=NOW + 61),
        lambda: signed(iat=None),
        lambda: signed(sub=None),
        lambda: signed(sub=""),
        lambda: signed(email=None),
        lambda: signed(email=""),
        lambda: signed(email=["a"]),
        lambda: signed(email_verified=False),
        lambda: signed(email_verified=None),
        lambda: signed(email_verified="false"),
    ],
)
def test_id_tokens_that_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(Malformed) as raised:
        exchanging(Answers(id_token=make()))()
    assert ANN not in str(raised.value)


def test_a_weak_key_verifies_nothing() -> None:
    keys = {"keys": [jwk(WEAK_KEY, "k1"), jwk(KEY, "k2")]}
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = signed(WEAK_KEY)
    with pytest.raises(Malformed):
        exchanging(Answers(id_token=token, keys=keys))()


def test_a_key_for_encryption_verifies_nothing() -> None:
    keys = {"keys": [jwk(KEY, "k1", use="enc"), jwk(OTHER_KEY, "k2")]}
    with pytest.raises(Malformed):
        exchanging(Answers(keys=keys))()


def test_keys_are_kept_and_fetched_again_for_an_unknown_one_and_after_a_while() -> None:
    clock = Clock()
    answers = Answers()
    exchange = exchanging(answers, clock)
    exchange()
    exchange()
    assert answers.fetched == 1
    answers.keys = {"keys": [jwk(OTHER_KEY, "k2")]}
    answers.id_token = signed(OTHER_KEY, "k2")
    exchange()
    assert answers.fetched == 2
    clock.time += timedelta(minutes=59)
    answers.id_token = signed(OTHER_KEY, "k2", iat=NOW + 3500, exp=NOW + 2 * 3600)
    exchange()
    assert answers.fetched == 2
    clock.time += timedelta(minutes=2)
    exchange()
    assert answers.fetched == 3


@pytest.mark.parametrize("keys", ["junk", [], {}, {"keys": []}, {"k": "junk"}])
def test_keys_that_cannot_be_read_are_transient(keys: Any) -> None:
    with pytest.raises(Transient):
        exchanging(Answers(keys=keys))()


@pytest.mark.parametrize("status", [404, 301])
def test_no_keys_at_the_address_is_the_deployments_fault(status: int) -> None:
    with pytest.raises(Misconfigured):
        exchanging(Answers(status=status))()


def test_an_answer_without_scope_grants_what_was_asked_for() -> None:
    answers = Answers(token_answer={"id_token": signed(), "refresh_token": ""})
    grant = exchanging(answers)()
    assert grant.scopes == set(SCOPES)
    assert grant.refresh_token is None
