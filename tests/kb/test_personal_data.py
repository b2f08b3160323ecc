"""Masking: what tells who somebody is goes, what they ask stays, and no text takes long."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.article import Article
from kb.personal_data import mask
from tests.conftest import in_cpu_seconds

SHIPPED = Path(__file__).resolve().parents[2] / "kb"

# (what is written, what is left of it)
PERSONAL = [
    # e-mail addresses
    ("Écrivez-moi à jean.dupont@orange.fr.", "Écrivez-moi à [adresse e-mail]."),
    ("mail: Sophie_57+mairie@mail.ville-metz.example merci", "mail: [adresse e-mail] merci"),
    ("jean.dupont (at) free.fr", "[adresse e-mail]"),
    ("jean arobase free point fr", "[adresse e-mail]"),
    # telephones
    ("Appelez-moi au 06 12 34 56 78.", "Appelez-moi au [téléphone]."),
    ("tel 0612345678 le soir", "tel [téléphone] le soir"),
    ("06.12.34.56.78 ou 03-87-12-34-56", "[téléphone] ou [téléphone]"),
    ("+33 6 12 34 56 78", "[téléphone]"),
    ("+33(0)612345678", "[téléphone]"),
    ("0033612345678", "[téléphone]"),
    ("mon numéro : +352 621 123 456", "mon numéro : [téléphone]"),
    ("06\u00a012\u00a034\u00a056\u00a078", "[téléphone]"),
    # social security
    ("Mon numéro est 1 85 05 78 006 084 91.", "Mon numéro est [numéro de sécurité sociale]."),
    ("sécu 2690549588157 80", "sécu [numéro de sécurité sociale]"),
    ("1 85 05 2A 006 084", "[numéro de sécurité sociale]"),
    # bank
    ("Voici mon RIB FR76 3000 6000 0112 3456 7890 189 pour le remboursement", "Voici mon RIB [IBAN] pour le remboursement"),
    ("fr7630006000011234567890189", "[IBAN]"),
    ("BE68 5390 0754 7034", "[IBAN]"),
    ("carte 4970 1000 0000 0154 expirée", "carte [carte bancaire] expirée"),
    ("4970100000000154", "[carte bancaire]"),
    ("amex 3782 822463 10005", "amex [carte bancaire]"),
    # plates
    ("Ma voiture AB-123-CD est à la fourrière.", "Ma voiture [plaque] est à la fourrière."),
    ("immatriculée AB 123 CD", "immatriculée [plaque]"),
    ("la clio ab-123-cd", "la clio [plaque]"),
    ("1234 ABC 57", "[plaque]"),
    # dates
    ("Je suis né le 12/03/1985 à Metz.", "Je suis né le [date] à Metz."),
    ("ma fille est née le 3 avril 2019", "ma fille est née le [date]"),
    ("nee le 1er janvier 1970", "nee le [date]"),
    ("date de naissance : 12 mars 85", "date de naissance : [date]"),
    ("Né(e) le 12.03.1985", "Né(e) le [date]"),
    ("le 03-04-2026 j'ai eu une amende", "le [date] j'ai eu une amende"),
    ("naissance 1985-03-12", "naissance [date]"),
    # addresses
    ("c'est au 5 Allée des pins", "c'est au [adresse]"),
    ("J'habite 12 bis rue des Lilas, 57000 Metz.", "J'habite [adresse]."),
    ("Au 4 avenue du Général de Gaulle il n'y a plus de lumière.", "Au [adresse] il n'y a plus de lumière."),
    ("au 7, impasse du Moulin", "au [adresse]"),
    ("12 rue des lilas, 2e étage", "[adresse], 2e étage"),
    ("12 rue jean jaures a metz", "[adresse] a metz"),
    ("3ter Place Saint-Louis 57000 METZ", "[adresse]"),
    ("je suis au 15 bd Foch", "je suis au [adresse]"),
    ("8 place de la République", "[adresse]"),
    ("1 rue du 11 novembre 1918", "[adresse]"),
    ("Je demeure rue Victor Hugo.", "Je demeure [adresse]."),
    ("J'habite au chemin des Vignes depuis 2010", "J'habite au [adresse] depuis 2010"),
    # names
    ("Je suis Mme Martin et je voudrais un acte.", "Je suis Mme [nom] et je voudrais un acte."),
    ("Monsieur Jean-Pierre DUPONT m'a répondu", "Monsieur [nom] m'a répondu"),
    ("M. de La Fontaine", "M. [nom]"),
    ("M. et Mme Durand", "M. et Mme [nom]"),
    ("le Dr J. Weber", "le Dr [nom]"),
    ("Bonjour, je m'appelle Lucas Petit et j'ai perdu mon passeport.", "Bonjour, je m'appelle [nom] et j'ai perdu mon passeport."),
    ("je m'appelle lucas petit et j'ai 18 ans", "je m'appelle [nom] et j'ai 18 ans"),
    ("je mappel Kévin", "je mappel [nom]"),
    ("Mon nom est Nadia Ben Ali.", "Mon nom est [nom]."),
    ("Bonjour, ici Luc Moreau du 5 rue des Lilas, ma poubelle", "Bonjour, ici [nom] du [adresse], ma poubelle"),
    ("C'est Karim Benali. Quand passe la benne ?", "C'est [nom]. Quand passe la benne ?"),
    ("bjr c'est Anne de La Tour, pour mon bac", "bjr c'est [nom], pour mon bac"),
    ("Nom : Dupont\nPrénom : Zoé", "Nom : [nom]\nPrénom : [nom]"),
    ("Mon fils Lucas entre au CP.", "Mon fils [nom] entre au CP."),
    ("mes enfants Lucas, Emma et Noé", "mes enfants [nom]"),
    ("ma fille, Léa, est malade", "ma fille, [nom], est malade"),
    ("le père s'appelle Karim", "le père s'appelle [nom]"),
    ("mon voisin Robert fait du bruit", "mon voisin [nom] fait du bruit"),
    ("Cordialement,\nSophie MARTIN", "Cordialement,\n[nom]"),
    ("Cordialement\r\n\r\nSophie Martin\r\n", "Cordialement\r\n\r\n[nom]\r\n"),
    ("bien cordialement, Sophie Martin", "bien cordialement, [nom]"),
    ("Très cordialement.\nZ. Weber", "Très cordialement.\n[nom]"),
    ("Dans l'attente de votre réponse,\n\nZ. Weber", "Dans l'attente de votre réponse,\n\n[nom]"),
    ("Bonne soirée, Zoé Weber", "Bonne soirée, [nom]"),
    ("ma grand mère Odile", "ma grand mère [nom]"),
    ("ma soeur aînée Odile", "ma soeur aînée [nom]"),
    ("titre de séjour 9912345678", "titre de séjour [numéro]"),
    ("Merci d'avance.\nJ. Weber", "Merci d'avance.\n[nom]"),
    ("merci\nsophie martin", "merci\n[nom]"),
    ("Quand passe le bus ?\nSophie MARTIN", "Quand passe le bus ?\n[nom]"),
    # numbers
    ("Mon dossier n° 2024-00123 n'avance pas.", "Mon dossier n° [numéro] n'avance pas."),
    ("dossier 458712", "dossier [numéro]"),
    ("référence : AMFPLK12", "référence : [numéro]"),
    ("réf amfplk12", "réf [numéro]"),
    ("Où en est AMFPLK12 ?", "Où en est [numéro] ?"),
    ("numéro fiscal 30 12 345 678 901", "numéro fiscal [numéro]"),
    ("numéro d'allocataire 1234567", "numéro d'allocataire [numéro]"),
    ("mon identifiant est le 00451287", "mon identifiant est le [numéro]"),
    ("facture DOS-2026-00412", "facture [numéro]"),
    ("passeport 12AB34567", "passeport [numéro]"),
    ("siret 123 456 789 00012", "siret [numéro]"),
    ("j'ai payé 12345678 hier", "j'ai payé [numéro] hier"),
    # links and accounts
    ("https://demarches.example/suivi?jeton=a1b2c3", "[lien]"),
    ("Voir https://x.example/s/9f8e7d6c5b4a3f2e1d0c.", "Voir [lien]."),
    ("Répondez à @sophie_57 svp", "Répondez à [compte] svp"),
    ("insta : sophie.m57", "insta : [compte]"),
]

ORDINARY = [
    "Comment refaire ma carte d'identité ?",
    "Combien coûte le passeport : 86 euros ou 42 € ?",
    "La taxe est passée de 1 250 000 € à 1300000 euros pour 120000 habitants.",
    "La mairie est-elle ouverte le samedi de 9 h 30 à 12h00 ?",
    "Ouvert du lundi au vendredi, 8h30-12h / 13h30-17h.",
    "Faut-il appeler le 3939, le 15, le 17, le 18, le 112, le 119 ou le 3919 ?",
    "Le numéro vert 0 800 12 34 56 ne répond pas.",
    "Quel est le budget 2026 ?",
    "Depuis 2019, rien n'a changé ; en 2024-2025 non plus.",
    "Les enfants nés en 2023 entrent-ils à l'école ?",
    "Enfants nés avant le 1er janvier 2021 : quelle école ?",
    "L'article L. 2213-1 du CGCT, l'article R*421-17 et l'article 1240 du code civil",
    "La loi n° 2004-575 du 21 juin 2004 et le décret 2016-1321",
    "Le formulaire Cerfa n° 15646*03 ou 12100*02",
    "La fiche F1444 de https://www.service-public.fr/particuliers/vosdroits/F1444",
    "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000006419292?x=1",
    "Voir https://www.ville.example/etat-civil/carte-nationale-d-identite-2024.",
    "Je cherche 1 place en crèche et 2 cours de danse.",
    "Bonjour, c'est Noël : la mairie est-elle ouverte ?",
    "C'est Mairie Annexe ou mairie centrale ?",
    "C'est La Poste qui remet les bacs ?",
    "Le président, c'est Emmanuel Macron ?",
    "Ici Metz, tout va bien.",
    "Il y a 3 places de parking et 2 rues à refaire.",
    "Quand passe la balayeuse rue Victor Hugo ?",
    "Les habitants de la rue des Lilas se plaignent.",
    "Madame, Monsieur, je vous écris au sujet d'un composteur.",
    "Monsieur le Maire, Madame la Directrice, Monsieur le Proviseur, Madame Le Maire",
    "Bonjour Madame Bonjour Monsieur",
    "Cordialement",
    "Merci d'avance\nBonne journée",
    "Merci,\nCordialement.",
    "Cordialement,\nUne habitante",
    "Mon fils est malade, ma fille TSA aussi.",
    "ma fille CP ou CE1 ?",
    "mon mari et moi",
    "Je suis né à Metz.",
    "Je suis habitant de Metz, dans le 57000.",
    "Le code postal est 57000 Metz.",
    "mon nom est mal écrit",
    "Comment changer mon nom de famille ?",
    "Mon nom : comment le changer ?",
    "Je m'appelle comme ma mère.",
    "nom et prénom de l'enfant",
    "Où en est mon dossier ?",
    "Mon dossier de 2024 n'avance pas.",
    "dossier 2024",
    "mon dossier passeport",
    "Le numéro de dossier est où ?",
    "La référence du formulaire ?",
    "l'abonnement 12 mois ou 24 mois",
    "Le bus 57 ou la ligne B12 ?",
    "Le RSA, l'APL, le PLUi, la ZFE, la CMU et le DALO",
    "COVID-19, Crit'Air 2, RT2012, A4, H2O",
    "Une photo 35 x 45 mm, 300 kWh, 20 m², 5,5 %",
    "Il y a 10.000 spectateurs et 1 000 000 de vues",
    "24/7, 1/2 journée, 50/50",
    "la convocation de 14/18 ans",
    "rendez-vous le 12 mars à 14 h",
    "Est-ce que @ fonctionne ?",
    "le {{ service.phone }} ou [[carte-identite]]",
    "",
]

# Questions of the sample articles that name somebody, on purpose: a name is the point of the one, an insult's of the other.
NAMED_ON_PURPOSE = {"changement-nom", "conseil-menaces-insultes"}


@pytest.mark.parametrize(("text", "expected"), PERSONAL)
def test_personal_data_is_replaced_by_its_kind(text: str, expected: str) -> None:
    masked = mask(text)
    assert masked.text == expected
    assert masked.kinds
    assert all(f"[{kind}]" in expected for kind in masked.kinds)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_question_stays_as_it_is(text: str) -> None:
    assert mask(text).text == text
    assert mask(text).kinds == ()


def test_the_questions_of_the_sample_articles_stay_as_they_are() -> None:
    altered = set()
    count = 0
    for path in (SHIPPED / "articles").rglob("*.md"):
        article = Article.parse(path.read_bytes().decode(), path.relative_to(SHIPPED).as_posix())
        count += len(article.meta.questions)
        altered |= {article.slug for question in article.meta.questions if mask(question).text != question}
    assert count > 2000
    assert altered == NAMED_ON_PURPOSE


def test_a_whole_message_loses_what_identifies_and_keeps_what_is_asked() -> None:
    message = (
        "Bonjour,\n\nJe m'appelle Sophie Martin, née le 12/03/1985, et j'habite 12 rue des Lilas, 57000 Metz. Mon fils Lucas a perdu sa "
        "carte d'identité. Mon dossier n° 458712 est-il prêt ? Téléphone : 06 12 34 56 78, "
        "sophie@mail.example.\n\nCordialement,\nSophie MARTIN"
    )
    masked = mask(message)
    assert masked.text == (
        "Bonjour,\n\nJe m'appelle [nom], née le [date], et j'habite [adresse]. Mon fils [nom] a perdu sa carte "
        "d'identité. Mon dossier n° [numéro] est-il prêt ? Téléphone : [téléphone], [adresse e-mail].\n\nCordialement,\n[nom]"
    )
    assert masked.kinds == ("adresse", "adresse e-mail", "date", "nom", "numéro", "téléphone")


pieces = st.sampled_from(
    [*(text for text, _ in PERSONAL), *ORDINARY, " ", "\n", ", ", "M. ", "Merci\n", "12 ", "rue ", "@", "[nom]", "né le ", "A"]
)


@given(st.one_of(st.lists(pieces, max_size=6).map("".join), st.text(max_size=80)))
def test_masking_again_changes_nothing(text: str) -> None:
    masked = mask(text).text
    assert mask(masked) == type(mask(""))(masked, ())


HOSTILE = [
    "a",
    "1 ",
    "0",
    "12 rue ",
    "M. ",
    "A",
    "Aa ",
    "é@",
    "a@a.",
    "dossier ",
    " ",
    "\t",
    "\n",
    "\u00a0",
    "1-",
    "mon fils ",
    "mon fils A",
    "Merci\n",
    "Cordialement,\n",
    "A-",
    "nom : ",
    "0612345",
    "06 ",
    "+",
    "http://",
    "http://a?",
    "12 rue de la ",
    "12 rue A-",
    "de la ",
    "je m'appelle ",
    "A'",
    "x@",
    "a.",
    "[nom] ",
    "FR76 ",
    "FR76",
    "1 85 05 ",
    "12/",
    "né le ",
    "numéro de ",
    "AB-",
    "A1",
    "dossier n° ",
    "mes enfants A, ",
    "Jean ",
    "M. Jean ",
    "12, ",
    "j'habite ",
    "\r\n",
    "Merci \t\n \n",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_message_takes_no_time(piece: str) -> None:
    text = piece * (20_000 // len(piece))
    in_cpu_seconds(10, lambda: mask(text))
