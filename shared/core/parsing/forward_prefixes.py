"""Subject prefixes by which mail programs mark a forward (M10), as data.

Written without colon, folded. Each is the default of Outlook, Apple Mail, Thunderbird,
Lotus Notes or a large webmail in that language, and means nothing else.

Left out, because they are ambiguous:

- `VS`: forward in Danish and Norwegian (videresendt), but *reply* in Finnish (vastaus)
  and Estonian (vastus);
- `SV`, `RES`, `R`, `TO`, `HA`: replies (Scandinavian, Portuguese, Italian, …);
- `FS`: Icelandic forward (framsenda), but "for sale" in English;
- `FYI`, `Forward`, `Begin forwarded message`: words that people write themselves.

A forward with one of those is still recognised by its recipients (M10: nobody of the
thread among them); a reply taken for a forward would leave its thread for nothing.
"""

from __future__ import annotations

FORWARD_PREFIXES = frozenset(
    {
        "fw",  # English and the default of Outlook in many languages
        "fwd",  # English; Gmail and Apple Mail in all languages
        "wg",  # German
        "wtr",  # German (Lotus Notes)
        "tr",  # French
        "rv",  # Spanish
        "reenv",  # Spanish
        "reenviado",
        "enc",  # Portuguese
        "i",  # Italian
        "inoltra",
        "inoltro",
        "doorst",  # Dutch
        "doorgestuurd",
        "vb",  # Swedish
        "vl",  # Finnish
        "videresend",  # Norwegian (new Outlook)
        "videresendt",  # Danish, Norwegian
        "pd",  # Polish
        "továbbítás",  # Hungarian
        "předat",  # Czech
        "přeposlat",
        "přeposláno",
        "preposlané",  # Slovak
        "proslijeđeno",  # Croatian
        "prosljeđeno",
        "redirecționat",  # Romanian
        "edasi",  # Estonian
        "пересл",  # Russian
        "переслано",
        "переслать",
        "пересылка",
        "пер",
        "препратено",  # Bulgarian
        "ilt",  # Turkish, İLT
        "i̇lt",
        "yml",  # Welsh
        "trs",  # Indonesian
        "chuyển tiếp",  # Vietnamese
        "πρθ",  # Greek
        "προώθηση",
        "הועבר",  # Hebrew
        "إعادة توجيه",  # Arabic
        "转发",  # Chinese
        "轉寄",
        "轉發",
        "転送",  # Japanese
        "전달",  # Korean
        "ส่งต่อ",  # Thai
    }
)
