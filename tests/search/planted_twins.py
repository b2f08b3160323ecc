"""Articles that another service might write on a subject that the sample already holds, in words of its own.

Written from the titles of the sample alone. ``MEASURED`` set the thresholds of ``search.twins`` (docs/adr/0013); ``HELD_OUT`` did not, and
the tests count on it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """An article as it would be typed, and the slug of the one that it repeats."""

    slug: str
    title: str
    questions: tuple[str, ...]
    lead: str


MEASURED = (
    Planted(
        "piscine-horaires-tarifs",
        "Aller nager : quand la piscine est ouverte et combien coûte l'entrée",
        ("La piscine est ouverte le dimanche ?", "Quel est le prix d'un ticket de bain ?"),
        "La piscine vous accueille toute l'année. L'entrée coûte moins cher pour les enfants, et une carte de dix "
        "bains est proposée à l'accueil.",
    ),
    Planted(
        "carte-identite-demande",
        "Carte d'identité : première demande et renouvellement",
        ("Comment refaire ma CNI ?", "Quels papiers apporter pour une carte d'identité ?"),
        "Prenez rendez-vous en mairie avec votre pré-demande, une photo récente et un justificatif de domicile. Votre "
        "carte est ensuite à retirer au guichet.",
    ),
    Planted(
        "encombrants",
        "Ramassage des gros objets à domicile",
        ("Qui vient chercher un vieux canapé ?", "Où mettre un frigo dont je ne veux plus ?"),
        "Nous enlevons meubles, matelas et gros appareils devant chez vous, sur rendez-vous. Appelez-nous en donnant la liste des objets.",
    ),
    Planted(
        "inscription-cantine",
        "Restauration scolaire : inscrire son enfant",
        ("Comment mettre ma fille à la cantine ?",),
        "L'inscription au restaurant scolaire se fait sur le portail des familles ou au guichet, avec une attestation d'assurance.",
    ),
    Planted(
        "nid-de-poule",
        "Une route abîmée, un trou dans la chaussée",
        ("Il y a un énorme trou devant chez moi, qui le rebouche ?",),
        "Merci de nous signaler ce défaut de la chaussée : dites-nous la rue et le numéro le plus proche, et une "
        "équipe viendra le reboucher.",
    ),
    Planted(
        "logement-social",
        "Déposer une demande de HLM",
        ("Comment avoir un appartement HLM ?", "Combien de temps faut-il attendre pour un logement social ?"),
        "Votre demande de logement social se dépose en ligne ou au guichet, avec une pièce d'identité et votre avis "
        "d'imposition. Elle se renouvelle chaque année.",
    ),
    Planted(
        "procuration-vote",
        "Faire voter quelqu'un à sa place",
        ("Je serai absent le jour du vote, que faire ?",),
        "Vous pouvez donner procuration à un autre électeur. La demande commence en ligne et se valide au commissariat "
        "ou à la gendarmerie.",
    ),
    Planted(
        "louer-salle",
        "Réserver la salle des fêtes",
        ("Je cherche une salle pour mon anniversaire", "Combien coûte la location de la salle communale ?"),
        "Les salles de la ville se louent pour une fête, une réunion ou un repas. Vérifiez d'abord les dates libres, "
        "puis déposez votre demande.",
    ),
    Planted(
        "bruit-voisinage",
        "Tapage et nuisances sonores",
        ("Mes voisins font la fête toutes les nuits", "À quelle heure peut-on tondre la pelouse ?"),
        "Parlez d'abord à votre voisin, puis écrivez-lui. Si le bruit continue, la police municipale peut se déplacer pour le constater.",
    ),
    Planted(
        "place-en-creche",
        "Inscription en crèche municipale",
        ("Comment avoir une place pour mon bébé ?",),
        "La préinscription se fait dès le sixième mois de grossesse. Une commission attribue les places au printemps.",
    ),
    Planted(
        "permis-de-construire",
        "Construire une maison : le permis à déposer",
        ("Quel dossier pour bâtir une maison ?", "Combien de temps pour obtenir un permis ?"),
        "Tout projet de construction demande un permis. Le dossier se dépose en ligne ou au guichet ; l'instruction "
        "dure deux mois pour une maison.",
    ),
    Planted(
        "fuite-voie-publique",
        "De l'eau coule dans la rue",
        ("Une canalisation a éclaté sur le trottoir, qui prévenir ?",),
        "Signalez-nous la fuite à tout moment : une équipe se déplace, sécurise la rue et répare la canalisation.",
    ),
)

HELD_OUT = (
    Planted(
        "passeport-demande",
        "Obtenir un passeport biométrique",
        ("Combien de temps pour avoir un passeport ?", "Quelles pièces pour le passeport d'un enfant ?"),
        "Remplissez la pré-demande en ligne, achetez le timbre fiscal, puis venez au rendez-vous avec une photo et un "
        "justificatif de domicile.",
    ),
    Planted(
        "depot-sauvage",
        "Des ordures abandonnées près de chez vous",
        ("Quelqu'un a jeté des gravats au bord du chemin",),
        "Merci de nous indiquer le lieu et, si possible, une photo : nos agents enlèvent le dépôt et cherchent qui en est l'auteur.",
    ),
    Planted(
        "eclairage-public",
        "Panne d'éclairage dans la rue",
        ("Ma rue est plongée dans le noir", "Le lampadaire clignote toute la nuit"),
        "Dites-nous le numéro inscrit sur le mât ou l'adresse la plus proche : l'équipe d'éclairage répare le point lumineux.",
    ),
    Planted(
        "mariage-dossier",
        "Se marier à la mairie : les pièces à fournir",
        ("Quels documents pour un mariage civil ?", "Combien de témoins faut-il ?"),
        "Retirez le dossier au guichet. Chaque futur époux fournit un justificatif d'identité et de domicile, et la liste des témoins.",
    ),
    Planted(
        "inscription-bibliotheque",
        "Prendre une carte à la médiathèque",
        ("L'abonnement à la médiathèque est-il gratuit ?",),
        "Présentez-vous à l'accueil avec une pièce d'identité et un justificatif de domicile : votre carte de lecteur est faite aussitôt.",
    ),
    Planted(
        "vehicule-fourriere",
        "Ma voiture a été enlevée par la fourrière",
        ("Où est passée ma voiture ?", "Combien faut-il payer pour la reprendre ?"),
        "Vérifiez d'abord auprès de la police municipale, puis présentez votre permis et la carte grise pour récupérer le véhicule.",
    ),
    Planted(
        "decheterie-horaires-acces",
        "Quand et comment aller à la déchetterie",
        ("La déchetterie est ouverte le samedi ?",),
        "L'accès est gratuit pour les habitants. Triez votre chargement avant de venir et présentez votre badge à l'entrée.",
    ),
    Planted(
        "registre-canicule",
        "Fortes chaleurs : se faire connaître des services",
        ("Comment faire appeler ma grand-mère en cas de canicule ?",),
        "Les personnes âgées, isolées ou handicapées peuvent s'inscrire : un agent les appelle en cas d'alerte.",
    ),
    Planted(
        "subvention-association",
        "Aide financière de la ville aux associations",
        ("Comment demander une subvention ?",),
        "Le dossier de subvention se retire à l'automne. Joignez les statuts, le budget et le rapport d'activité de l'association.",
    ),
    Planted(
        "animal-perdu-trouve",
        "J'ai perdu mon chat ou trouvé un chien",
        ("J'ai trouvé un chien errant, qui appeler ?",),
        "Signalez l'animal à la police municipale, avec une photo et le numéro de sa puce. Les animaux trouvés sont "
        "gardés à la fourrière animale.",
    ),
    Planted(
        "stationnement-resident",
        "Macaron résident : se garer dans son quartier",
        ("Comment avoir le tarif résident pour ma voiture ?",),
        "Le tarif résident est réservé aux habitants de la zone. Fournissez la carte grise à votre adresse et un justificatif de domicile.",
    ),
    Planted(
        "aide-personne-agee",
        "Être aidé chez soi quand on vieillit",
        ("Ma mère ne peut plus faire son ménage, qui peut l'aider ?",),
        "Un agent évalue les besoins à domicile : ménage, courses, toilette. Une aide financière dépend des ressources.",
    ),
)
