"""Which mail may be a bounce, by its headers, and the words that bounces are made of.

Asked of every message that is read, so it looks at headers only (M14). Who looks like
one is then read; `delivery_reports` says whether it is one.
"""

# ruff: noqa: RUF001  (other alphabets have letters that look like ours)
from __future__ import annotations

import re
from collections.abc import Sequence

from shared.core.mail import Address
from shared.core.parsing.headers import Header, subject_text, unfold, values_of
from shared.core.parsing.mime_parameters import main_value, parameters

FAILED_RECIPIENTS_HEADER = "X-Failed-Recipients"

_REPORTS = frozenset({"", "delivery-status"})

# Exchange signs with "MicrosoftExchange" and 32 hexadecimal digits.
_DAEMONS = re.compile(
    r"(?:mailer[-_.]?daemon|mail[-_.]?daemon|post[-_.]?master|mailadmin"
    r"|mail[-_.]?delivery|mdaemon|microsoftexchange[0-9a-f]{32}|mailbounce|bounce)"
    r"(?:[-+_.].{0,100})?"
)
_DAEMON_NAMES = re.compile(
    r"mail(?:er)?[ _-]?daemon|mail delivery (?:sub)?system|post ?master"
    r"|system administrator|mail administrator|delivery status"
)

# Words that say "this did not arrive", an alternative a line, in subjects and texts.
# Only mail whose sender looks like a mail server is asked for them.
_FAILURE_WORDS = r"""
undeliver(?:ed|able|y)
delivery (?:\w+ ){0,3}(?:notif|fail|incomplete|report|problem|error|delay|unsuccess)
delivery to the following
returned (?:mail|to sender|message|email)
returning message
failure notice
fail(?:ed|ure) to deliver
failed recipient
mail (?:system )?(?:error|failure)
(?:could|can|was|did|has|have|were) ?n[o'’]t (?:be |been )?(?:deliver|reach|accept|sent)
(?:unable|not able) to (?:be )?deliver
non-?delivery
message (?:was |has been )?(?:blocked|rejected|delayed|not delivered)
delayed mail
address not found
recipient inbox full
not listed in domino
following address(?:es)? failed
unzustellbar
nicht zugestellt
nicht zustellbar
zustellung (?:\w+ ){0,2}(?:fehl|verz|nicht)
zustellungsstatus|zustellstatus|zustellungsfehler
konnte nicht an
adresse wurde nicht gefunden
non (?:remis|distribu|d[ée]livr)
n[’'e] ?(?:a|ont) pu [êe]tre
pas (?:pu )?(?:[ée]t[ée]|[êe]tre) (?:remis|distribu|livr|d[ée]livr|envoy)
[ée]chec de (?:la )?(?:remise|distribution|livraison)
retour(?:n[ée])? [àa] l.exp[ée]diteur
[ée]tat de (?:la )?(?:remise|distribution)
adresse introuvable
no (?:se )?(?:ha |han )?(?:pudo|podido|pudieron|entreg)
error (?:de|en la) entrega
estado de (?:la )?entrega
devuelto
no se ha encontrado la direcci
n[ãa]o (?:foi |p[ôo]de ser |est[áa] )?(?:entreg|poss[íi]vel entregar)
falha na entrega
status de entrega
endere[çc]o n[ãa]o encontrado
mancat[oa] (?:recapito|consegna)
non (?:[èe] stato )?(?:recapit|consegn)
impossibile (?:recapit|consegn)
stato (?:di|del) (?:recapito|consegna)
indirizzo non trovato
onbestelbaar
niet (?:worden )?(?:bezorgd|afgeleverd|afleveren|bezorgen)
bezorging mislukt
kunne ikke leveres
ikke lever(?:et|t)
kunde inte levereras
olevererbar
inte levererats
ei voitu toimittaa
toimittaminen ep[äa]onnistui
niedostarcz
nie (?:mo[żz]na|uda[łl]o si[ęe]|zosta[łl]a?) dostarcz
nedoru[čc]iteln
nelze doru[čc]it
k[ée]zbes[íi]thetetlen
nem k[ée]zbes[íi]t
teslim edile(?:medi|miyor)
iletilemedi
не (?:было |был |была )?доставлен
недоставлен
не удалось доставить
невозможно доставить
о доставке
о состоянии доставки
адрес не найден
не вдалося доставити
配信不能|配信(?:でき|に失敗|され)
送信できません|送信に失敗
エラーメール|不達|届けられません
配達(?:でき|不能)
退信|退回
无法(?:投递|送达|传递)
無法(?:投遞|送達|傳遞)
未(?:能)?送[达達]
(?:传递|投递|发送)失败
반송
전송(?:에)? 실패
(?:배달|전달|전송)(?:되지|할 수 없)
"""
_DELAY_WORDS = r"""
delayed
delivery (?:is |has been )?(?:temporarily|incomplete)
will (?:be |keep |continue )?(?:retr|trying)
still (?:being retried|trying)
warning only
not yet been delivered
verz[öo]ger
weitere zustellversuche
retard[ée]|retrasad|retraso
atrasad|atraso
ritardo|ritardata
vertraagd|vertraging
f[öo]rsenad|forsinket
op[óo][źz]ni|zpo[žz]d|k[ée]sleltet|gecikti
задерж|затрим
遅延|延迟|延遲|推迟|지연
"""
_FAILURE = re.compile("|".join(_FAILURE_WORDS.split("\n")[1:-1]))
_DELAY = re.compile("|".join(_DELAY_WORDS.split("\n")[1:-1]))


def is_daemon(address: str) -> bool:
    """Whether an address is that of a mail server rather than of a person."""
    return _DAEMONS.fullmatch(address.rpartition("@")[0].lower()) is not None


def tells_failure(text: str) -> bool:
    """Whether a text says, in words, that something did not arrive."""
    return _FAILURE.search(text.lower()) is not None


def tells_delay(text: str) -> bool:
    """Whether a text says, in words, that the server goes on trying."""
    return _DELAY.search(text.lower()) is not None


def may_be_bounce(headers: Sequence[Header], sender: Address | None) -> bool:
    """Whether a message has to be read as a bounce before it is decided (S12).

    A delivery report by its type (RFC 3464), X-Failed-Recipients (Gmail, Exim), a mail
    server as sender, or an empty Return-Path together with a subject that says so.
    Auto-replies have an empty Return-Path too and are mail of people; so are read
    receipts and complaints, which are other reports.
    """
    for value in values_of(headers, "Content-Type"):
        if main_value(unfold(value)) == "multipart/report":
            kind = parameters(unfold(value)).get("report-type", "")
            return kind.strip().lower() in _REPORTS
    if values_of(headers, FAILED_RECIPIENTS_HEADER):
        return True
    if sender is not None and (
        is_daemon(sender.address) or _DAEMON_NAMES.search((sender.name or "").lower())
    ):
        return True
    if sender is None and any(
        _DAEMON_NAMES.search(value.lower()) for value in values_of(headers, "From")
    ):
        return True
    is_silent = any(
        "".join(value.split()) in {"<>", ""}
        for value in values_of(headers, "Return-Path")
    )
    return is_silent and any(
        tells_failure(subject_text(value)) for value in values_of(headers, "Subject")
    )
