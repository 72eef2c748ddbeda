"""The words the demo model learns from and is tested on: names, cities, capitals, plain nouns.

Every list that a test draws from comes twice: the words of training and, apart, the words kept
out of it. Nothing here depends on anything else.
"""

import random

NAMES = tuple(
    """
Aaron Abby Abigail Adam Adele Agnes Ahmed Aisha Alan Albert Alejandro Alex Alexandra Alfred Ali
Alice Alicia Alina Amanda Amelia Amir Amy Ana Anastasia Andre Andrea Andrew Angela Anika Anita
Anna Anthony Antonio Arjun Arthur Astrid Aurora Barbara Beatrice Ben Benjamin Bernd Bianca Boris
Brian Bruno Camila Carl Carla Carlos Carmen Caroline Catherine Chen Chloe Chris Christine Claire
Clara Daniel Daniela David Deborah Denis Diego Dmitri Dora Edgar Edith Eduardo Edward Elena Eli
Elias Elif Elizabeth Ella Ellen Emil Emily Emma Enzo Eric Erika Esther Eva Fatima Felix Finn
Florian Frances Francisco Frank Frida Gabriel George Georgia Gerald Gita Giulia Grace Greta
Guillaume Gustav Hana Hannah Hans Harold Harry Hassan Heidi Helen Helga Henrik Henry Hiroshi Hugo
Ian Ibrahim Ida Ines Ingrid Irene Iris Isaac Isabel Ivan Jack Jacob James Jan Jane Jasmine Javier
Jennifer Jenny Jessica Jin Joan Johan John Jonas Jorge Joseph Josef Juan Julia Julian Karen Karim
Karl Kate Keiko Ken Kevin Khalid Klara Kofi Lars Laura Lea Leah Leila Lena Leo Leonard Lily Linda
Lisa Liu Lorenzo Louis Lucas Lucia Luigi Luis Luna Magda Marcel Marco Margaret Maria Marie Marta
Martin Mary Mateo Matilda Max Maya Mei Michael Michelle Miguel Mila Mohammed Monica Nadia Nancy
Natalie Nikita Nils Nina Noah Nora Olga Olivia Omar Oscar Otto Pablo Patricia Paul Paula Pedro
Peter Petra Philip Pierre Priya Rachel Rafael Raj Ravi Rebecca Ricardo Richard Rita Robert Rosa
Ruth Sabine Sam Samira Sandra Sara Sarah Sasha Sean Sergei Silvia Simon Sofia Sonia Stefan Stella
Steve Sunita Susan Svetlana Sven Tanja Tara Theo Thomas Tim Tina Tom Ulrich Ursula Valentina
Vera Victor Viktor Vincent Walter Wei William Xavier Yan Yara Yasmin Yuki Yusuf Zara Zoe José Zoë
Anaïs René Łukasz Søren Jürgen Mónica
""".split()
)
NAMES_KEPT_OUT = tuple(
    """
Adrian Agatha Alma Anton Bella Bernard Carina Cedric Charlotte Colin Dahlia Dennis Dominic Eleanor
Elvira Ethan Fabian Fiona Freya Gavin Gloria Gregory Hector Hilda Imran Isla Jamal Jasper Josephine
Judith Kamila Kurt Lorena Lydia Malik Marina Marvin Miriam Nathan Nelson Octavia Oliver Pamela
Percy Quentin Ramona Regina Roland Rupert Selma Sigrid Tamara Tobias Uma Vanessa Veronica Wendy
Wilma Yvonne Zelda
""".split()
)

CITIES = tuple(
    """
Amsterdam|Antwerp|Athens|Atlanta|Auckland|Baghdad|Bangkok|Barcelona|Basel|Beijing|Belfast|Belgrade|
Bergen|Berlin|Bern|Bilbao|Bogota|Bologna|Bordeaux|Boston|Bremen|Brisbane|Bristol|Brussels|
Bucharest|Budapest|Buenos Aires|Cairo|Calgary|Cape Town|Cardiff|Chicago|Cologne|Copenhagen|Cork|
Dallas|Delhi|Denver|Detroit|Dresden|Dubai|Dublin|Durban|Edinburgh|Frankfurt|Gdansk|Geneva|Genoa|
Ghent|Glasgow|Graz|Hamburg|Hanoi|Havana|Helsinki|Hong Kong|Houston|Istanbul|Jakarta|Karachi|Kiel|
Kuala Lumpur|Kyiv|Lagos|Leeds|Leipzig|Lille|Lima|Lisbon|Liverpool|London|Los Angeles|Lyon|Madrid|
Malmo|Manchester|Manila|Marseille|Melbourne|Mexico City|Miami|Milan|Montreal|Moscow|Mumbai|Munich|
Nairobi|Nantes|Naples|New Delhi|New York|Nice|Osaka|Oslo|Oxford|Paris|Perth|Porto|Prague|Quito|
Riga|Rio de Janeiro|Rome|Rotterdam|San Diego|San Francisco|Santiago|Seoul|Shanghai|Singapore|Sofia|
Stockholm|Stuttgart|Sydney|Taipei|Tallinn|Tokyo|Toronto|Turin|Utrecht|Valencia|Vancouver|Venice|
Vienna|Vilnius|Warsaw|Washington|Zagreb|Zurich|São Paulo|Málaga|Kraków|Göteborg|Reykjavík
""".replace("\n", "").split("|")
)
CITIES_KEPT_OUT = tuple(
    """
Aarhus|Adelaide|Austin|Bratislava|Brno|Casablanca|Damascus|Dakar|Florence|Granada|Hiroshima|Lucerne|
Innsbruck|Marrakesh|Kampala|Kyoto|Lausanne|Las Vegas|Ljubljana|Luxembourg|Maputo|Medellin|Minsk|
Nagoya|Nuremberg|Odessa|Bergamo|Palermo|Philadelphia|Phoenix|Pretoria|Salzburg|Salt Lake City|
Sarajevo|Seattle|Seville|Tampa|Tbilisi|Toulouse|Trieste|Windhoek|New Orleans|San Antonio
""".replace("\n", "").split("|")
)

CAPITALS = dict(
    pair.split(":")
    for pair in """
Argentina:Buenos Aires|Australia:Canberra|Austria:Vienna|Belgium:Brussels|Bolivia:Sucre|
Brazil:Brasilia|Bulgaria:Sofia|Canada:Ottawa|Chile:Santiago|China:Beijing|Colombia:Bogota|
Croatia:Zagreb|Cuba:Havana|Cyprus:Nicosia|Denmark:Copenhagen|Ecuador:Quito|Egypt:Cairo|
Estonia:Tallinn|Ethiopia:Addis Ababa|Finland:Helsinki|France:Paris|Germany:Berlin|Ghana:Accra|
Greece:Athens|Hungary:Budapest|Iceland:Reykjavik|India:New Delhi|Indonesia:Jakarta|Iran:Tehran|
Iraq:Baghdad|Ireland:Dublin|Israel:Jerusalem|Italy:Rome|Japan:Tokyo|Kenya:Nairobi|Latvia:Riga|
Lithuania:Vilnius|Malaysia:Kuala Lumpur|Mexico:Mexico City|Morocco:Rabat|Netherlands:Amsterdam|
New Zealand:Wellington|Nigeria:Abuja|Norway:Oslo|Pakistan:Islamabad|Peru:Lima|Philippines:Manila|
Poland:Warsaw|Portugal:Lisbon|Romania:Bucharest|Russia:Moscow|Serbia:Belgrade|South Korea:Seoul|
Spain:Madrid|Sweden:Stockholm|Switzerland:Bern|Thailand:Bangkok|Turkey:Ankara|Ukraine:Kyiv|
Vietnam:Hanoi
""".replace("\n", "").split("|")
)
OTHER_COUNTRIES = tuple(
    """
Albania Algeria Andorra Angola Armenia Bahrain Bangladesh Belarus Belize Benin Bhutan Botswana
Burundi Cambodia Cameroon Chad Fiji Gabon Georgia Guatemala Guyana Haiti Honduras Jamaica Jordan
Kazakhstan Kuwait Laos Lebanon Liberia Libya Madagascar Malawi Mali Malta Moldova Monaco Mongolia
Mozambique Nepal Nicaragua Niger Oman Panama Paraguay Qatar Rwanda Senegal Slovakia Slovenia
Somalia Sudan Syria Tanzania Togo Tunisia Uganda Uruguay Venezuela Yemen Zambia Zimbabwe
""".split()
)

NOUNS = tuple(
    """
apple bicycle bird book bottle box bread bridge bus cake camera car cat chair church cloud coat
coffee computer cow cup dog door engine farm field fire fish flower forest garden gate glass hat
hill horse house island key kitchen lake lamp letter library lion map market milk mirror moon
morning mountain museum night ocean orange paper park phone piano picture planet queen radio rain
river road robot room school ship shirt shoe shop sky snow song star station stone storm story
street sugar summer sun table teacher tea tiger tower train tree valley village violin wall watch
water wind window winter wolf year
""".split()
)
ADJECTIVES = tuple(
    """
big small old new red blue green white black yellow bright dark quiet loud happy sad warm cold
slow fast long short tall heavy light empty full strange famous broken clean dirty soft hard young
beautiful gentle brave clever lazy simple
""".split()
)
VERBS = tuple(
    """
sees likes finds buys sells paints carries opens closes watches hears follows leaves wants needs
draws breaks cleans moves loves misses remembers builds pushes holds hides sings reads writes
""".split()
)
PLACES = (
    "in the park",
    "at the station",
    "near the river",
    "under the bridge",
    "behind the house",
    "on the table",
    "in the kitchen",
    "by the sea",
    "after lunch",
    "before breakfast",
    "every morning",
    "at night",
    "on Monday",
    "last summer",
    "in winter",
    "without a word",
)

ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl dr fl gr kr pl sh st th tr".split()
VOWELS = "a e i o u a e i o ai ea ie oo".split()
CODAS = ["", "", "", "", "l", "n", "r", "s", "t", "m", "k", "nd", "x"]


def invented(rng: random.Random, syllables: int) -> str:
    """A word nobody has seen, so that copying is learned rather than remembered."""
    parts = (rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables))
    return "".join(parts) + rng.choice(CODAS)


def invented_name(rng: random.Random) -> str:
    return invented(rng, rng.choice((1, 2, 2, 2, 3))).capitalize()


def person(rng: random.Random, kept_out: bool = False) -> str:
    """A first name, sometimes with a family name; one half of training's are invented."""
    if kept_out:
        return rng.choice(NAMES_KEPT_OUT)
    first = rng.choice(NAMES) if rng.random() < 0.5 else invented_name(rng)
    if rng.random() < 0.12:
        return f"{first} {invented_name(rng)}"
    return first


def city(rng: random.Random, kept_out: bool = False) -> str:
    if kept_out:
        return rng.choice(CITIES_KEPT_OUT)
    if rng.random() < 0.55:
        return rng.choice(CITIES)
    name = invented_name(rng)
    return f"{invented_name(rng)} {name}" if rng.random() < 0.2 else name
