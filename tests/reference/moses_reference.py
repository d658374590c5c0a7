#!/usr/bin/env python3
"""Writes what the Moses vocabularies rest on, and what they are compared with.

    moses_reference.py data             src/text/moses/characters.txt and abbreviations.txt
    moses_reference.py fixture          tests/fixtures/moses.json
    moses_reference.py random N [SEED]  N made-up lines in the form of the fixture, to standard output

Needs sacremoses 0.1.1, whose behaviour later versions change in small things, and transformers for its FSMTTokenizer.

`lines` of the fixture holds for each `text` the `tokens` and the `detokenized` text of those tokens, both for most languages,
and under `unlike` the same for the languages in which either is another. `detokenized` holds tokens that no text gives.
`vocabulary` is a small FSMT directory, and `cases` what FSMTTokenizer makes of the texts with it: `ids` without the sentence
end, and `decoded`, what it decodes from `target_ids`.
"""
import collections
import json
import random
import sys
import tempfile
import textwrap
from pathlib import Path

import sacremoses
from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer
from sacremoses.corpus import NonbreakingPrefixes, Perluniprops
from sacremoses.indic import NUKTAS, VIRAMAS
from transformers.models.fsmt import tokenization_fsmt as fsmt

ROOT = Path(__file__).resolve().parents[2]
#: Of the fixture; "xx" stands for all that Moses knows nothing about.
LANGUAGES = ["en", "de", "ru", "fr", "es", "it", "pt", "nl", "cs", "pl", "ja", "zh", "ko", "fi", "xx"]
HEAD = "# {} Written by tests/reference/moses_reference.py from sacremoses 0.1.1 (MIT licence).\n"

# Lines on which the rules of the languages differ, or that are hard for any.
TEXTS = """
The house is small.
Das Haus ist klein.
I don't know what you're talking about; we'll see, they've gone, I'd say I'm late.
It's 5 o'clock. The Jones' house, the 1990's, rock 'n' roll, 'tis.
C'est l'été qu'il n'aime pas aujourd'hui : l'« eau », l'œuvre et l'11 mai.
Un po' d'acqua dell'Italia, all'alba; l'8 marzo, un'altra 'cosa'.
''double'' `back' ``both'' 'single' "straight" „tief“ “high” ‚low‘ ‘up’ «French» » German « ›one‹
« Bonjour ! » dit-il ; « ça va ? » 50 % de 3 km : oui.
a'b'c 'a' 'b 1's 2's' x' 'y ''' '' ' .' '. ,' ', a.' b.'
He said "yes," and left. "No." he said. "Why?", "what." "Oh...", ".", ","
Er sagte "ja", und ging. "Nein." Er sagte "ja." <b>"fett."</b> "so."  <x
Mr. Smith, Dr. House and Prof. Moriarty met at 5 p.m. in the U.S. No. 5 is alive. No. It is Art. 7, pp. 3-5.
z.B. d.h. u.a. bzw. Dr. Müller am 3. Mai, Nr. 5, S. 7 ff. usw. Abs. 2.
M. Dupont, Mme. Durand, etc. p. ex. art. 5 vol. II.
Sr. García, Dña. Ana, EE.UU. y pág. 7. ¿Qué? ¡Ay!
т.е. и т.д. г. Москва, ул. Ленина, д. 5, рис. 3. Проф. Иванов.
Ing. Novák, tj. např. č. 5, str. 7. Je-li to e-mail?
ul. Długa nr 5, nr. 5, tzn. np. prof. Kowalski, str. 3 i r. 1999.
dhr. Jansen, nr. 5 en nr. Vijf, bijv. a.u.b.
Dra. Ana, p. 5, pp. Xis, núm. 3, n. 4 e art. 2.
End. next starts small. End. Next starts big. End. 5 begins. v. x vs. Y
a.b.c. A.B.C. 1.2.3. .5 5. . .. ... .... a..b a...b ...a a... .' ..' a. . b
1,000 1,000,000.50 1,a a,1 ,1 1, ,a a, ,, ,,, a,,b 1,,2 ½,¼ x,y,z 3,5 % 5 %5
1 000 000 km, 5 % , nº 5, 37 ºC, 12 cm, a : b ; c ! d ? e, f
50 % 50% ( 50 % ) (a) ( b )( c ). (d) , [e] {f} <g> (h)! (i)? (j): (k); a( b )c
well-known co-operate a-b-c -a a- - -- --- a--b 1-2 1 - 2 – — a–b a—b ‑ − ー x-(y) é-è a-狗
https://example.org/a?b=c&d=%20#x-y www.test.de/~a_b info@example.org @user #tag ftp://x.y:80/
AT&T R&D &amp; &lt;b&gt; &quot; &apos; &#39; &#91; &bar; & && &; &#124; a|b [x] <br/> 1<2>1
$100 €5 £3.50 ¥100 5€ US$ 5 ₿1 ₽ 5 ¢ ¤ %$ (€5) [€]
@-@ @ - @ a @-@ b foo@-@bar @,@ _x_ x_y ~ ^ ° § ¶ † ‡ • · … ‰ № ™ © ®
家很小，但花园很大。他说：“好！” 《书》 【一】 （二） 「三」 １２３％～ ．  下 。
家は小さいです。「はい」、ｶﾅ ABC 東京・大阪 ー々〆ヶ
집이 작습니다. 가나다 "네" ABC 한글-영어
البيت صغير، أليس كذلك؟ 5٪ ١٢٣ הבית קטן. ש"ח צה״ל ׳
घर छोटा है। क़लम ज़रा क्षत्रिय ১২৩ தமிழ்நாடு ไทยแลนด์ ខ្មែរ မြန်မာ ಕನ್ನಡ
Το σπίτι, τι; Α.Β. Γ΄ ΣΑΣ ς Ὀδυσσεύς
I ❤️ Berlin 😀👍🏽 – really?! 👩‍👩‍👧 🇩🇪 1️⃣ ☃ ♥ a😀b
ｆｕｌｌ　ｗｉｄｔｈ ＡＢＣ，ａ ﬁne ﬂow ß ẞ İı ǅ ⅷ ² ³ ª º ①
Cafe\u0301 nai\u0308ve a\u0300\u0301b \u0301x soft\u00adhyphen zero\u200bwidth \u200f \u202a \u2060 \ufeff bom
tab\tbed new\u0085line line\u2028sep para\u2029x \u0007bell \u001cfs\u001f \u00a0nb\u00a0sp\u00a0 \u2009thin \u3000 wide\u3000
\u00a0«\u00a0a\u00a0»\u00a0 «\u00a0b\u00a0» « c » 5\u00a0% 5\u00a0000\u00a0000 1\u00a02\u00a03 nº\u00a05 a\u00a0: 5\u00a0ºC 5\u00a0cm ?\u00a0! x\u00a0; a,\u00a0b
\ue000 private \U0001f1e6 \U00010400 \U000e0041 \U0010fffd \ufffd \ufffe x
USA:n EU:ssa 20:een Peter:n fi: n
L'une d'elles. D'ACCORD QU'IL 'Tis N'T DON'T i'm he'LL
naïve façade Zażółć gęślą jaźń. Příliš žluťoučký kůň. Übermäßige Größe: Straße, Äpfel, Öl.
  two  spaces   and trailing
a . b , c ! d ? e : f ; g ' h " i ( j ) k
McDonald's James's James' it's. its'. 'twas. d'Artagnan O'Neill rock'n'roll '90s 90's x''y
1. First 2. Second a) b) (c) I. II. iii. XIV. Kap. 3. Teil
http://a.b/c'd"e f'g\\h \\n \\ / // a/b and/or
.
...
'
"
,
-
7
""".strip("\n").split("\n")

TOKENS = """
a &quot; b &quot; c &quot; d
&apos; a &apos; b s &apos; c &apos;
I &apos;m do n&apos;t it &apos;s 5 &apos;s &apos;S
l&apos; eau d&apos; 5 qu&apos; il
&#91; x &#93; ( y ) { z } &lt; w &gt; &#124; &bar; &bra; &ket; &amp;lt; &amp; amp;
„ tief “ „ a “ “ high ” „ x ”
$ 5 € 6 ¿ que ? ¡ ay ! £ ( £ 5 )
a @-@ b @-@ c @-@ @-@ d @-@
家 很 小 a 家 b家 c 가 나 갂 갃 ᄀ ᄁ
3 . 5 3 , 5
1 2 3 . 5
5 7 .
5 % a ? ! : ; \\ ?! !! %
EU : n : ssa
`` a `` b ` c ` &apos;&apos; d &apos;&apos;
... a ... , ,. .,
x &quot; . &quot; , &quot;
dogs &apos; cats &apos; dog &apos;
""".strip("\n").split("\n")


class Language:
    """One language as FSMTTokenizer treats it."""

    def __init__(self, language):
        self.normalizer = MosesPunctNormalizer(lang=language)
        self.tokenizer = MosesTokenizer(lang=language)
        self.detokenizer = MosesDetokenizer(lang=language)

    def tokens(self, text):
        text = self.normalizer.normalize(fsmt.replace_unicode_punct(text))
        return self.tokenizer.tokenize(
            fsmt.remove_non_printing_char(text), aggressive_dash_splits=True, return_str=False, escape=True)

    def both(self, text):
        tokens = self.tokens(text)
        return " ".join(tokens), self.detokenizer.detokenize(tokens)


def data():
    """The two data files."""
    def ranges(characters):
        runs = []
        for code in sorted(map(ord, characters)):
            if runs and code == runs[-1][1] + 1:
                runs[-1][1] = code
            else:
                runs.append([code, code])
        return [f"{first:x}" if first == last else f"{first:x}-{last:x}" for first, last in runs]

    def write(name, head, sections):
        text = HEAD.format(head)
        for section, entries in sections.items():
            if entries:
                text += f"[{section}]\n" + textwrap.fill(" ".join(entries), 120, break_long_words=False, break_on_hyphens=False) + "\n"
        (ROOT / "src/text/moses" / name).write_text(text, encoding="utf-8")

    read = {name: set(Perluniprops().chars(name)) - {"\n"}
            for name in ["IsAlpha", "IsAlnum", "IsLower", "IsN", "IsSc", "Han", "Hangul", "Hiragana", "Katakana"]}
    letters = read["IsAlpha"]
    assert letters < read["IsAlnum"]
    write("characters.txt", "Sets of characters by the properties of an old Perl.", {
        "alphabetic": ranges(letters), "digits": ranges(read["IsAlnum"] - letters), "numbers": ranges(read["IsN"]),
        "lower case": ranges(read["IsLower"]), "currency": ranges(read["IsSc"]),
        "joining marks": ranges(set(VIRAMAS + NUKTAS) - letters),
        **{script.lower(): ranges(read[script] - letters) for script in ["Han", "Hangul", "Hiragana", "Katakana"]}})

    sections = {}
    source = NonbreakingPrefixes()
    for language in sorted(set(source.available_langs.values())):
        always, numbers = {}, {}
        for word in source.words(language):
            stem, _, mark = word.rpartition(" ")
            if mark == "#NUMERIC_ONLY#":
                numbers[stem] = True
            # One with a space inside is never found.
            elif " " not in word:
                always[word] = True
        assert not any(word[0] in "[#" for word in [*always, *numbers])
        sections[language], sections[language + " before numbers"] = always, numbers
    write("abbreviations.txt", "Abbreviations of the Moses toolkit, by language.", sections)


def lines_of(texts, reference):
    lines = []
    for text in texts:
        found = {language: reference[language].both(text) for language in LANGUAGES}
        (tokens, detokenized), _ = collections.Counter(found.values()).most_common(1)[0]
        unlike = {language: both for language, both in found.items() if both != (tokens, detokenized)}
        lines.append({"text": text, "tokens": tokens, "detokenized": detokenized} | ({"unlike": unlike} if unlike else {}))
    return lines


def detokenized_of(lines, reference):
    out = []
    for line in lines:
        found = {language: reference[language].detokenizer.detokenize(line.split()) for language in LANGUAGES}
        text, _ = collections.Counter(found.values()).most_common(1)[0]
        unlike = {language: other for language, other in found.items() if other != text}
        out.append({"tokens": line, "text": text} | ({"unlike": unlike} if unlike else {}))
    return out


def random_texts(count, seed):
    """Fragments of the lines above and hard characters, put together at random."""
    rng = random.Random(seed)
    words = [word for text in TEXTS for word in text.split(" ")]
    hard = list("''''\"\"\"...,,,--()[]{}<>&|@%$€:;!?`´’‘„“”«»…–— \u00a0  0123456789aBsé家가क्ा١½²ª\u0301\u200b\t。．！ｱ「")
    for _ in range(count):
        parts = [rng.choice(words) if rng.random() < 0.4 else rng.choice(hard) + (rng.choice(hard) if rng.random() < 0.5 else "")
                 for _ in range(rng.randint(1, 12))]
        text = rng.choice(["", " ", " "]).join(parts) if rng.random() < 0.5 else "".join(p + rng.choice(["", " "]) for p in parts)
        yield text


def vocabulary(directory, reference):
    """A small FSMT directory: merges of the lines' tokens, two tables of different pieces."""
    words = {side: collections.Counter(token for text in TEXTS[:60] for token in reference[side].tokens(text))
             for side in ("en", "de")}
    splits = {word: [*word[:-1], word[-1] + "</w>"] for side in words.values() for word in side}
    merges = []
    while len(merges) < 150:
        pairs = collections.Counter()
        for side in words.values():
            for word, count in side.items():
                for pair in zip(splits[word], splits[word][1:]):
                    pairs[pair] += count
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append((best, pairs[best]))
        for word, split in splits.items():
            at = 0
            while at < len(split) - 1:
                if (split[at], split[at + 1]) == best:
                    split[at:at + 2] = ["".join(best)]
                at += 1
    files = {"merges.txt": "".join(f"{left} {right} {count}\n" for (left, right), count in merges)}
    for name, side in ("vocab-src.json", "en"), ("vocab-tgt.json", "de"):
        pieces = sorted({piece for word in words[side] for piece in splits[word]})
        # Some are left out, so that there is something unknown.
        pieces = [piece for at, piece in enumerate(pieces) if at % 9]
        files[name] = {piece: id for id, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])}
    files["tokenizer_config.json"] = {"langs": ["en", "de"], "do_lower_case": False, "model_max_length": 1024}
    for name, content in files.items():
        (directory / name).write_text(content if name.endswith(".txt") else json.dumps(content), encoding="utf-8")
    return files


def fixture():
    reference = {language: Language(language) for language in LANGUAGES}
    lines = lines_of([*TEXTS, *random_texts(240, 1)], reference)
    with tempfile.TemporaryDirectory() as directory:
        files = vocabulary(Path(directory), reference)
        paths = {f"{name}_file": str(Path(directory) / file) for name, file in
                 [("src_vocab", "vocab-src.json"), ("tgt_vocab", "vocab-tgt.json"), ("merges", "merges.txt")]}
        tokenizer = fsmt.FSMTTokenizer(**paths, langs=["en", "de"])
        lower = fsmt.FSMTTokenizer(**paths, langs=["en", "de"], do_lower_case=True)
        rng, cases = random.Random(2), []
        for text in TEXTS[:60]:
            target_ids = [rng.randrange(len(files["vocab-tgt.json"])) for _ in range(rng.randint(1, 25))]
            cases.append({"text": text, "ids": tokenizer(text)["input_ids"][:-1], "lower_case_ids": lower(text)["input_ids"][:-1],
                          "target_ids": target_ids, "decoded": tokenizer.decode(target_ids, skip_special_tokens=True)})
    write({"sacremoses": sacremoses.__version__, "lines": lines, "detokenized": detokenized_of(TOKENS, reference),
           "vocabulary": files, "cases": cases}, ROOT / "tests/fixtures/moses.json")


def write(content, path):
    """One line for each entry."""
    def value(entry):
        dump = lambda entry: json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
        if isinstance(entry, list):
            return "[\n" + ",\n".join(map(dump, entry)) + "\n]"
        return dump(entry)
    body = ",\n".join(f"{json.dumps(key)}:{value(entry)}" for key, entry in content.items())
    text = "{" + body + "}\n"
    if path:
        path.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def main():
    if sacremoses.__version__ != "0.1.1":
        sys.exit(f"needs sacremoses 0.1.1, not {sacremoses.__version__}")
    if sys.argv[1] == "data":
        data()
    elif sys.argv[1] == "fixture":
        fixture()
    else:
        reference = {language: Language(language) for language in LANGUAGES}
        texts = random_texts(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 7)
        write({"lines": lines_of(texts, reference)}, None)


if __name__ == "__main__":
    main()
