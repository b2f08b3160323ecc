"""A message → its requests: what is not the request goes, no request is lost, and no message can block a worker."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.requests import MAX_SEGMENTS, segments, strip_message
from tests.search.conftest import assert_linear

ASK = "Ma poubelle jaune n'a pas été ramassée hier rue des Lilas"
OTHER = "Comment inscrire ma fille à la cantine ?"
WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    return WORD.findall(unicodedata.normalize("NFC", text))


# ---- what is dropped ----
@pytest.mark.parametrize(
    "greeting",
    [
        "Bonjour,\n",
        "bonjour ",
        "Bonjour Madame, Monsieur,\n\n",
        "Madame, Monsieur,\n",
        "Monsieur le Maire,\n",
        "Bonjour Monsieur le Maire,\n",
        "Bonsoir à tous,\n",
        "Salut !\n",
        "slt ",
        "bjr, ",
        "Rebonjour,\n",
        "Chère mairie,\n",
        "Bonjour l'équipe,\n",
        "  \n\n Bonjour…\n",
        "Mesdames et Messieurs,\n",
        "BONJOUR\n",
    ],
)
def test_a_greeting_is_dropped(greeting: str) -> None:
    assert strip_message(f"{greeting}{ASK}.").endswith(f"{ASK}.")
    assert not re.search(r"bonj|bonsoir|salut|slt|bjr|monsieur|mesdames", strip_message(f"{greeting}{ASK}."), re.IGNORECASE)


@pytest.mark.parametrize(
    "closing",
    [
        "Cordialement,\nJean Dupont\n06 12 34 56 78",
        "Bien cordialement\nJ. Dupont",
        "cdt",
        "Merci d'avance pour votre réponse.\nMme Martin",
        "Merci !",
        "Bien à vous,\nAline",
        "Je vous prie d'agréer, Madame, Monsieur, l'expression de mes salutations distinguées.\nJean Dupont\n3 rue des Lilas",
        "Veuillez agréer mes salutations distinguées.",
        "Dans l'attente de votre réponse, bonne journée.",
        "En vous remerciant,\nJean",
        "Bonne journée",
        "Sincères salutations.\nJean Dupont",
        "Respectueusement,\nJean",
    ],
)
def test_a_closing_and_its_signature_are_dropped(closing: str) -> None:
    assert strip_message(f"{ASK}.\n\n{closing}").rstrip(".") == ASK


@pytest.mark.parametrize(
    "line",
    [
        "Envoyé de mon iPhone",
        "Envoyé depuis l'application Mail Orange",
        "Sent from my Samsung",
        "Tél : 06 12 34 56 78",
        "06.12.34.56.78",
        "+33 6 12 34 56 78",
        "jean.dupont@example.org",
        "--",
        "________",
        "> ancien message",
        "Cc : mairie@ville.example",
        "Date : lundi 3 mars 2025",
    ],
)
def test_a_line_that_is_not_the_request_is_dropped(line: str) -> None:
    assert strip_message(f"{ASK}.\n{line}") == f"{ASK}."


@pytest.mark.parametrize(
    "header",
    [
        "Le lun. 3 mars 2025 à 10:12, Mairie <contact@ville.example> a écrit :",
        "On Mon, Mar 3, 2025 at 10:12 AM Mairie wrote:",
        "----- Message d'origine -----",
        "-----Message transféré-----",
        "-------- Original Message --------",
        "De : Mairie <contact@ville.example>",
    ],
)
def test_a_quoted_thread_is_dropped(header: str) -> None:
    assert strip_message(f"{ASK}.\n\n{header}\n> Bonjour,\n> Le permis de construire se dépose en ligne.\nLa mairie") == f"{ASK}."


def test_a_forwarded_message_is_read_without_its_headers() -> None:
    message = (
        "---------- Forwarded message ---------\nDe : Jean Dupont <jean@example.org>\nDate: lun. 3 mars 2025\n"
        f"À : mairie@ville.example\nObjet : TR: Re: Poubelle jaune\n\nBonjour,\n{ASK}.\n\nJean Dupont"
    )
    stripped = strip_message(message)
    assert stripped.startswith("Poubelle jaune\n"), "the subject says what it is about"
    assert ASK in stripped
    assert not re.search(r"forwarded|example\.org|2025|ville\.example|TR:", stripped, re.IGNORECASE)


@pytest.mark.parametrize(
    "message", ["Bonjour", "Bonjour,", "Bonjour Madame", "Merci beaucoup !", "Cordialement", "> citation seule", "06 12 34 56 78"]
)
def test_a_message_that_is_nothing_else_stays_whole(message: str) -> None:
    assert strip_message(message) == message
    assert segments(strip_message(message)) == [message]


@pytest.mark.parametrize("message", ["", " ", "\n\n\t", "\r\n"])
def test_an_empty_message_is_one_empty_request(message: str) -> None:
    assert strip_message(message) == ""
    assert segments("") == [""]


@pytest.mark.parametrize(
    "message",
    [
        "Merci de me dire comment refaire ma carte d'identité avant mon départ en voyage au Portugal, et sous quels délais.",
        "Madame Martin m'a dit de vous écrire pour le stationnement.",
        "Le maire a écrit : quand a lieu la réunion de quartier ?",
    ],
)
def test_words_of_politeness_inside_a_request_lose_nothing(message: str) -> None:
    kept = strip_message(message)
    assert message.endswith(kept)
    assert len(words(kept)) >= len(words(message)) - 1


def test_a_postscript_after_the_signature_is_kept() -> None:
    stripped = strip_message(f"Bonjour,\n{ASK}.\nCordialement,\nJean Dupont\n\nP.S. : {OTHER}")
    assert segments(stripped) == [f"{ASK}.", OTHER]
    assert "Dupont" not in stripped


def test_windows_line_ends_and_decomposed_accents_are_read_as_others() -> None:
    message = f"Bonjour à tous,\n\n{ASK}.\n\nSincères salutations\nÉlodie"
    assert strip_message(unicodedata.normalize("NFD", message).replace("\n", "\r\n")) == strip_message(message) == f"{ASK}."


# ---- how it is cut ----
@pytest.mark.parametrize(
    "message",
    [
        f"{ASK}.\n\n{OTHER}",
        f"{ASK}. Par ailleurs, {OTHER}",
        f"{ASK}. Autre question : {OTHER}",
        f"{ASK}. J'en profite pour vous demander : {OTHER}",
        f"{ASK}, et comment inscrire ma fille à la cantine ?",
        f"Quand passe le camion des encombrants ? {OTHER}",
        f"1. {ASK}\n2. {OTHER}",
        f"- {ASK}\n- {OTHER}",
        f"• {ASK}\n• {OTHER}",
        f"a) {ASK}\nb) {OTHER}",
    ],
)
def test_two_requests_are_two_segments(message: str) -> None:
    found = segments(strip_message(message))
    assert len(found) == 2
    assert "cantine" not in found[0]
    assert "cantine" in found[1]
    assert not re.match(r"[-•\d]", found[0]), "a list marker is not part of the request"


def test_a_story_before_one_question_is_one_segment() -> None:
    message = "J'habite rue des Lilas depuis 2012. Mon voisin a fait des travaux. Le bruit est insupportable. Que puis-je faire ?"
    assert segments(message) == [message]


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    message = "J'habite au 3 av. Foch ? Et M. Martin au 5 bd. Victor Hugo ?"
    assert segments(message) == ["J'habite au 3 av. Foch ?", "Et M. Martin au 5 bd. Victor Hugo ?"]


def test_scraps_join_their_neighbour() -> None:
    assert segments(f"Urgent !\n\n{ASK}.\n\nMerci ?") == [f"Urgent ! {ASK}. Merci ?"]


def test_many_requests_are_at_most_a_few_segments_that_hold_all() -> None:
    message = "\n\n".join(f"Question numéro {number} sur le service {number} ?" for number in range(200))
    found = segments(message)
    assert len(found) == MAX_SEGMENTS
    assert words(" ".join(found)) == words(message)


# ---- whatever is pasted ----
MARKS = ["\n", "\n\n", "\r\n", " ", "\u00a0", ".", "?", "- ", "--", "1. ", "P.S. ", "> ", "e\u0301"]
PHRASES = [
    "Bonjour",
    "Cordialement",
    "merci",
    "Objet : ",
    "De : a@b.fr",
    "le x a écrit :",
    "poubelle",
    "et comment",
    "par ailleurs",
    "M. ",
    "06 12 34 56 78",
]
PIECES = st.sampled_from(MARKS + PHRASES)
MESSAGES = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=40).map("".join), st.lists(PIECES, max_size=40).map(" ".join))


@given(MESSAGES)
@example("1. ")
@example(":\r.CORDIALEMENT")
@example("0/ :")
@example("mot\n\n? ? ? ?\n\n! ! ! !")
@example("- - -\n- a")
@example("Bonjour P.S.")
@example("\x1c a")
def test_whatever_is_pasted_its_requests_are_made_of_its_words(message: str) -> None:
    stripped = strip_message(message)
    found = segments(stripped)
    assert 1 <= len(found) <= MAX_SEGMENTS
    if words(message):
        assert words(stripped), "a message with words never becomes nothing"
        assert all(words(segment) for segment in found)
    given_words = words(message)
    assert set(words(stripped)) <= set(given_words)
    assert all(set(words(segment)) <= set(given_words) for segment in found)


@given(MESSAGES)
def test_stripping_is_settled_before_cutting(message: str) -> None:
    """Segments keep the order of the words: joined, they are the stripped message less its list markers."""
    stripped = words(strip_message(message))
    remaining = iter(stripped)
    assert all(word in remaining for word in words(" ".join(segments(strip_message(message)))))


BLANKS = ["\n", " ", "\n ", "\u00a0", "\t\n", "\r"]
SIGNS = ["@", "@.", "a@a.", ". ", " ,", "a", "0 ", "- ", "-", "- a\n", "> a\n", "1. a b c\n", "a b c ?\n\n"]
POLITE = [
    "tel ",
    "bonjour ",
    "merci\n",
    "a b. cordialement ",
    "de : ",
    "le ",
    "mot et ",
    "ps ",
    "a b.\n dans l'attente de ",
    "re:",
    "et puis ",
]
HOSTILE = [*BLANKS, *SIGNS, *POLITE, f"{ASK}. {OTHER}\n"]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("start", ["", "Bonjour a b c\n", "objet:"])
def test_a_hostile_message_costs_linear_work(start: str, unit: str) -> None:
    def work(chars: int) -> None:
        message = (start + unit * (chars // len(unit) + 1))[: chars - 5] + "a b c"
        segments(strip_message(message))
        segments(message)

    assert_linear(work)


def test_a_conjunction_stays_with_the_request_that_it_opens() -> None:
    assert segments("Qui peut aider ma mère ? Et par ailleurs son bac jaune est cassé.") == [
        "Qui peut aider ma mère ?",
        "Et par ailleurs son bac jaune est cassé.",
    ]


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("Mon fils entre au CP. Merci d'avance de me dire comment l'inscrire à la cantine.", None),
        ("Merci par avance de me communiquer la liste des pièces pour un passeport", None),
        ("J'ai perdu ma carte. Merci pour votre aide : quels papiers faut-il ?", None),
        ("Ma fille a deux ans. Dans l'attente d'une place en crèche, avez-vous une liste ?", None),
        ("Ma poubelle est cassée. Merci d'avance pour votre réponse.\nPaul Durand", "Ma poubelle est cassée."),
        ("Ma poubelle est cassée. Merci de votre retour", "Ma poubelle est cassée."),
        ("Ma poubelle est cassée. Merci, [nom]", "Ma poubelle est cassée."),
        ("Ma poubelle est cassée. Dans l'attente de vous lire, bonne journée", "Ma poubelle est cassée."),
    ],
)
def test_thanks_in_advance_may_ask(message: str, left: str | None) -> None:
    assert strip_message(message) == (left or message)


OUTLOOK = "De : Service Déchets{address}\nEnvoyé : lundi 3 mars\nÀ : Paul\nObjet : bac\n\nVotre bac sera remplacé demain."


@pytest.mark.parametrize(
    "thread",
    [
        OUTLOOK.format(address=" <dechets@ville.fr>"),
        OUTLOOK.format(address=" <[adresse e-mail]>"),
        OUTLOOK.format(address=""),
        "Le lun. 3 mars 2026 à 10:12, Service Déchets de la Ville de Saint-Trucmuche-les-Bains <dechets@ville.fr>\na écrit :\nVotre bac",
        f"Le lun. 3 mars 2026 à 10:12, {'Service Déchets ' * 6}a écrit :\nVotre bac",
    ],
)
def test_a_thread_is_dropped_even_masked_or_wrapped(thread: str) -> None:
    request = "Comment refaire ma carte d'identité perdue hier ?"
    assert strip_message(f"{request}\n\n{thread}") == request


@pytest.mark.parametrize(
    "head", [OUTLOOK.format(address="").partition("\n\n")[0], "---------- Forwarded message ---------\nDe : Paul <p@x.fr>"]
)
def test_what_is_forwarded_is_the_request(head: str) -> None:
    left = strip_message(f"Pour traitement, merci.\n\n{head}\n\nIl y a des nids de guêpes dans mon jardin.")
    assert left.endswith("Il y a des nids de guêpes dans mon jardin.")
    assert "traitement" not in left
