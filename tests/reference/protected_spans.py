"""How many generated lines keep their spans: 500 with copies, 500 with symbols, 1,000 with numbers, 500 with
numbers and times of day in words.

    python tests/reference/protected_spans.py target/release/translate transformer [options of translate ...]

Copies have to be in the translation as often as in the line; a sentence with a symbol has to be translated as without it, the
symbol left out of both; the digits of a number have to be in the translation in one piece, grouped or not; a number in words has to have its value,
in words or digits. Needs no package.
"""

import random
import re
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
COPIES = {
    "url": ["https://www.{a}.de/{b}?nr={n}", "http://{a}.org/{b}_{n}/index.html", "www.{a}-{b}.com", "https://{a}.example.net/#{b}"],
    "email": ["{a}.{b}@{a}.de", "{b}{n}@post.example.org", "info@{a}-{b}.eu"],
    "file": ["{a}_{n}.pdf", "{b}.tar.gz", "{a}-{b}.docx", "/home/{a}/{b}.txt", "/etc/{b}.conf", "C:\\Users\\{a}\\{b}.xlsx", "src/{a}/{b}.rs"],
    "placeholder": ["%s", "%1$s", "{{name}}", "{{{{ {a} }}}}", "${{{a}}}", "{{0}}", "%({a})s", "<{n}/>"],
    "name": ["@{a}", "@{a}_{n}", "#{b}", "#{b}{n}"],
    "option": ["--{a}", "--{b}={n}", "-v", "{a}_{b}", "{b}()"],
}
PLACES = {
    "url": ["Mehr Informationen finden Sie unter X.", "Besuchen Sie X!", "Die Seite X ist nicht erreichbar.", "Das Bild ist von X (siehe unten).",
            "Kennst du X?", "Weitere Bilder: X", "Auf X steht, dass es morgen regnet."],
    "email": ["Schreiben Sie an X, bitte.", "Meine Adresse ist X.", "Die Nachricht von X kam gestern an.", "Kontakt: X", "Hast du X geantwortet?"],
    "file": ["Die Datei X fehlt.", "Öffne X und lies den ersten Satz.", "Ich habe X gelöscht.", "Der Fehler steht in X.", "Kopiere X in den Ordner."],
    "placeholder": ["Hallo X, wie geht es dir?", "X wurde gelöscht.", "Möchten Sie X wirklich öffnen?", "Die Datei X ist zu groß.", "Klicken Sie auf X."],
    "name": ["X Danke für das Foto!", "Das Foto ist von X.", "Hast du X gesehen?", "Schöner Tag am See X", "X hat heute Geburtstag."],
    "option": ["Die Option X zeigt mehr.", "Starte das Programm mit X.", "Was macht X?", "Mit X geht es schneller."],
}
TAGS = [("<b>", "</b>"), ("<i>", "</i>"), ("<span class=\"x\">", "</span>"), ("<0>", "</0>"), ("", "<br/>"), ("&nbsp;", ""), ("", "&amp;")]
SYMBOLS = ["😀", "👍🏽", "👩‍👩‍👧", "🇩🇪", "❤️", "☃", "→", "•", "★", "✓", "|", "|||", "*", "**", "犬", "日本語", "Москва", "ありがとう", "‣", "◆", "⇒"]
AROUND = [("(", ")"), ("[", "]"), ("„", "“"), ("\"", "\""), ("»", "«"), ("*", "*"), ("**", "**"), ("_", "_"), ("<b>", "</b>")]
STARTS = ["• ", "- ", "* ", "→ ", "> ", "– ", "✓ ", "😀 ", "| "]
NUMBERS = ["Das Haus kostet X Euro.", "Es sind X Kinder im Park.", "In der Stadt leben X Menschen.", "Er lief X Meter.", "Auf dem Platz stehen X Leute."]
PRICES = ["Das kostet X €.", "Der Eintritt kostet X Euro.", "Die Temperatur beträgt X Grad.", "Sie wiegt X kg.", "Der Preis stieg um X Prozent."]
PHONES = ["Meine Telefonnummer ist X.", "Rufen Sie X an.", "Sie erreichen uns unter X."]
DATES = ["Er wurde am X geboren.", "Die Rechnung vom X ist bezahlt.", "Am X ist der Laden geschlossen."]
TIMES = ["Der Zug fährt um X Uhr ab.", "Wir treffen uns um X Uhr.", "Bis X Uhr bin ich da."]
OTHERS = ["Version X ist da.", "Im Jahr X war alles anders.", "Seite X ist leer.", "X % der Kinder spielen."]


def translate(program, model, options, lines):
    command = [program, "--model", model, "--quiet", *options]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[: len(lines)]


def sentences():
    texts = [DATA / "alignments/captions.de", DATA / "everyday.de"]
    lines = [line for text in texts for line in text.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line.count(" ") > 2]


def copies(rng):
    """Lines and what has to be copied in them."""
    words = ["hund", "garten", "bericht", "anna", "reise", "katze", "liste", "berlin"]
    for number in range(500):
        if number % 7 == 6:
            start, end = rng.choice(TAGS)
            line = rng.choice(sentences()).split(" ")
            at = rng.randrange(len(line))
            core = line[at].rstrip(".,!?")
            line[at] = start + core + end + line[at][len(core):]
            yield " ".join(line), [part for part in (start, end) if part]
            continue
        kind = list(COPIES)[number % 7]
        a, b = rng.sample(words, 2)
        copy = rng.choice(COPIES[kind]).format(a=a, b=b, n=rng.randrange(2, 999))
        yield rng.choice(PLACES[kind]).replace("X", copy), [copy]


def symbols(rng):
    """Lines with a symbol, without it, and the symbol."""
    base = sentences()
    for number in range(500):
        sentence = rng.choice(base)
        words = sentence.split(" ")
        if number % 5 == 0:
            start = rng.choice(STARTS)
            yield start + sentence, sentence, [start.strip()]
        elif number % 5 == 1:
            start, end = rng.choice(AROUND)
            yield start + sentence + end, sentence, [start, end]
        elif number % 5 == 2:
            start, end = rng.choice(AROUND)
            at = rng.randrange(len(words))
            core = words[at].rstrip(".,!?")
            words[at] = start + core + end + words[at][len(core):]
            yield " ".join(words), sentence, [start, end]
        else:
            symbol = rng.choice(SYMBOLS)
            words.insert(rng.randrange(1, len(words) + 1), symbol)
            yield " ".join(words), sentence, [symbol]


def numbers(rng):
    """Lines, and the number in each."""
    def grouped(n):
        return f"{n:,}".replace(",", ".")

    for number in range(1000):
        kind = number % 6
        if kind == 0:
            n, places = grouped(rng.choice([rng.randrange(1000, 10**4), rng.randrange(10**4, 10**6), rng.randrange(10**6, 10**8)])), NUMBERS
        elif kind == 1:
            n, places = grouped(rng.randrange(1, 5000)) + f",{rng.randrange(100):02}", PRICES
        elif kind == 2:
            n, places = f"0{rng.randrange(10, 999)}{rng.choice(' /-')}{rng.randrange(10**4, 10**8)}", PHONES
        elif kind == 3:
            n, places = f"{rng.randrange(1, 29):02}.{rng.randrange(1, 13):02}.{rng.randrange(1950, 2030)}", DATES
        elif kind == 4:
            n, places = f"{rng.randrange(0, 24)}:{rng.randrange(60):02}", TIMES
        else:
            n = rng.choice([f"{rng.randrange(1, 20)}.{rng.randrange(20)}.{rng.randrange(20)}", str(rng.randrange(1800, 2050)), str(rng.randrange(21, 999))])
            places = OTHERS
        yield rng.choice(places).replace("X", n), n


UNITS = "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn".split()
TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
ENGLISH_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
COUNTED = ["Sie hat X Briefe geschrieben.", "Das kostet X Euro.", "In dem Saal sitzen X Leute.", "Er ist seit X Tagen krank.", "Bis dahin sind es X Kilometer."]
HOURS = ["Der Bus fährt um X.", "Wir essen um X.", "Komm bitte um X zu mir!", "Um X beginnt das Konzert.", "Gegen X war alles vorbei."]


def german(n):
    """A whole number below 10,000 in words."""
    if n >= 1000:
        return german(n // 1000) + "tausend" + (german(n % 1000) if n % 1000 else "")
    if n >= 100:
        return german(n // 100) + "hundert" + (german(n % 100) if n % 100 else "")
    if n < 20:
        return UNITS[n]
    return (UNITS[n % 10] + "und" if n % 10 else "") + TENS[n // 10 - 2]


def english(n):
    """A whole number below 10,000 in words, without `and`."""
    if n >= 1000:
        return " ".join([english(n // 1000), "thousand", *([english(n % 1000)] if n % 1000 else [])])
    if n >= 100:
        return " ".join([english(n // 100), "hundred", *([english(n % 100)] if n % 100 else [])])
    if n < 20:
        return ENGLISH_UNITS[n]
    return ENGLISH_TENS[n // 10 - 2] + ("-" + ENGLISH_UNITS[n % 10] if n % 10 else "")


def words(rng):
    """Lines with numbers and times of day in words, and what says the same in English, in small letters and without `and` in numbers."""
    for number in range(500):
        if number % 2:
            n = rng.choice([rng.randrange(13, 100), rng.randrange(101, 1000), rng.randrange(1001, 10**4)])
            yield rng.choice(COUNTED).replace("X", german(n)), [str(n), f"{n:,}", english(n)]
            continue
        hour, kind = rng.randrange(2, 13), number // 2 % 4
        before = hour - 1
        if kind == 0:
            text, forms = f"halb {UNITS[hour]}", [f"{before}:30", f"half past {ENGLISH_UNITS[before]}", f"{ENGLISH_UNITS[before]} thirty"]
        elif kind == 1:
            text, forms = f"fünf nach halb {UNITS[hour]}", [f"{before}:35", f"twenty-five to {ENGLISH_UNITS[hour]}"]
        elif kind == 2:
            late = rng.randrange(13, 24)
            text = f"{rng.choice([late, german(late)])} Uhr"
            forms = [f"{late}:00", f"{late - 12} p.m", f"{late - 12}:00 p.m", f"{ENGLISH_UNITS[late - 12]} p.m", f"{late} o'clock", f"{english(late)} o'clock"]
        else:
            minute = rng.choice([15, 20, 30, 40, 45])
            text, forms = f"{german(hour)} Uhr {german(minute)}", [f"{hour}:{minute}", f"{ENGLISH_UNITS[hour]} {english(minute)}", f"{hour} o'clock {minute}"]
            after = ENGLISH_UNITS[hour % 12 + 1]
            forms += {15: [f"quarter past {ENGLISH_UNITS[hour]}"], 20: [f"twenty past {ENGLISH_UNITS[hour]}"], 30: [f"half past {ENGLISH_UNITS[hour]}"], 40: [f"twenty to {after}"], 45: [f"quarter to {after}"]}[minute]
        yield rng.choice(HOURS).replace("X", text), forms


def has_value(output, forms):
    """Whether a translation has one of these forms as whole words."""
    text = re.sub(r"(hundred|thousand) and ", r"\1 ", output.lower())
    return any(re.search(rf"(?<![\d.,:-])\b{re.escape(form)}\b(?![:,-]?\d)", text) for form in forms)


def bare(text, parts):
    """A translation without the symbols, its spacing and its last full stop."""
    for part in sorted(parts, key=len, reverse=True):
        for form in [part, *{"„": "“", "“": "”", "»": "“", "«": "”", '"': "“"}.get(part, "")]:
            text = text.replace(form, " ")
    text = text.replace("”", " ").replace('"', " ") if set(parts) & set("„“»«\"") else text
    text = re.sub(r"\s+([.,!?;:])", r"\1", re.sub(r"\s+", " ", text)).strip()
    return text.rstrip(".!?").lower()


def report(name, results):
    kept = sum(ok for ok, *_ in results)
    print(f"{name}: {kept} of {len(results)} ({100 * kept / len(results):.1f} %)")
    for ok, line, output in results:
        if not ok and "-v" in sys.argv[0:1] + OPTIONS:
            print(f"    {line}\n        {output}")


def main(program, model, options):
    rng = random.Random(20)
    made = list(copies(rng))
    outputs = translate(program, model, options, [line for line, _ in made])
    report("copies", [(all(output.count(c) == line.count(c) for c in parts), line, output) for (line, parts), output in zip(made, outputs)])
    made = list(symbols(rng))
    outputs = translate(program, model, options, [line for line, _, _ in made])
    clean = translate(program, model, ["--protect", "none"] if options != ["--protect", "none"] and "--protect" in HELP else [], [line for _, line, _ in made])
    report("symbols", [(bare(output, parts) == bare(plain, parts), line, output) for (line, _, parts), output, plain in zip(made, outputs, clean)])
    made = list(numbers(rng))
    outputs = translate(program, model, options, [line for line, _ in made])
    digits = lambda text: re.sub(r"(?<=\d)[.,:/ '-](?=\d)", "", text)
    report("numbers", [(re.search(rf"(?<!\d){digits(n)}(?!\d)", digits(output)) is not None, line, output) for (line, n), output in zip(made, outputs)])
    made = list(words(rng))
    outputs = translate(program, model, options, [line for line, _ in made])
    report("numbers in words", [(has_value(output, forms), line, output) for (line, forms), output in zip(made, outputs)])


if __name__ == "__main__":
    OPTIONS = [option for option in sys.argv[3:] if option == "-v"]
    HELP = subprocess.run([sys.argv[1], "--help"], capture_output=True, text=True).stdout
    main(sys.argv[1], sys.argv[2], [option for option in sys.argv[3:] if option != "-v"])
