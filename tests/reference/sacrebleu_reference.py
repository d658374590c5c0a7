"""Writes tests/fixtures/sacrebleu.json: texts with the scores sacreBLEU gives them.

    python tests/reference/sacrebleu_reference.py tests/fixtures/sacrebleu.json
    python tests/reference/sacrebleu_reference.py /tmp/more.json --random 500 --seed 7

Needs sacrebleu 2.x. All texts are written for this file, or drawn at random from its alphabets. With --random the
written cases are left out; TRANSLATE_SACREBLEU_CASES=/tmp/more.json makes the test read that file instead.
"""

import argparse
import json
import logging
import os
import random

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

# Name, hypotheses, reference sets.
CASES = [
    ("german-to-english",
     ["A man in a blue shirt stands on a ladder and cleans a window.", "Two dogs run across the wet meadow.",
      "The weather is nice today, isn't it?"],
     [["A man in a blue shirt is standing on a ladder cleaning a window.", "Two dogs are running over a wet meadow.",
       "The weather is beautiful today, isn't it?"]]),
    ("english-to-german",
     ["Der Schüler übt jeden Tag Geige.", "Straßenbahnen fahren durch die Altstadt.", "Größe ist nicht alles!"],
     [["Die Schülerin übt jeden Tag Geige.", "Die Straßenbahn fährt durch die Altstadt.", "Größe ist nicht alles."]]),
    ("identical", ["The same sentence on both sides.", "Nothing differs here, not even “quotes”."],
     [["The same sentence on both sides.", "Nothing differs here, not even “quotes”."]]),
    ("nothing in common", ["alpha beta gamma delta", "one two three four"], [["w x y z q", "jj kk ll vv"]]),
    ("empty hypothesis", ["", "The cat sleeps on the sofa."], [["The dog barks.", "The cat sleeps on a sofa."]]),
    ("empty reference", ["Where did this come from?", "The cat sleeps on the sofa."],
     [["", "The cat sleeps on a sofa."]]),
    ("empty lines on both sides", ["", "A short walk by the river.", "", "It rained all night long."],
     [["", "A short walk along the river.", "", "It rained the whole night."]]),
    ("all hypotheses empty", ["", "", ""], [["one line", "another line", "the last line of all"]]),
    ("everything empty", ["", ""], [["", ""]]),
    ("only white space", [" ", "\t\u3000", "words \u00a0 between\u2003spaces and\u001ffields "],
     [["a", "\u2028", "words between spaces  and fields"]]),
    ("one word per line", ["Hello", "World", "Yes", "No"], [["Hello", "world", "Yes", "Never"]]),
    ("two and three words", ["Guten Morgen", "Wie geht's dir"], [["Guten Morgen", "Wie geht es dir"]]),
    ("numbers",
     ["The price rose by 1,000.50 dollars to 3.14159 on 12/31/1999.", "Pages 10-20, 3–4 and 5-fold; 50% of 7.",
      "Version 2.0.1, chapter 3, 1.000.000 people.", "In 1999."],
     [["The price rose by 1,000.5 dollars to 3.14159 on 31/12/1999.", "Pages 10 - 20, 3-4 and fivefold; 50 % of 7.",
       "Version 2.0.1, chapter 3: 1,000,000 people.", "In 1999 ."]]),
    ("entities",
     ["&quot;Yes&quot;, she said &amp; left.", "a &lt; b &amp;&amp; b &gt; c", "&amp;lt; &apos;s &unknown; <skipped>x"],
     [["\"Yes\", she said & left.", "a < b && b > c", "< 's &unknown; x"]]),
    ("punctuation",
     ["Wait... what?! (Really -- truly.)", "He said: \"it's 'fine'\"; she didn't.", "e-mail@example.org, C++, a/b_c~d",
      "...,,,...---", "$5 + €6 = £11?"],
     [["Wait ... what ?! (Really, truly.)", "He said: \"It is 'fine'\"; she did not.",
       "E-Mail@example.org; C++ a/b_c~d", "..., ---", "5$ + 6€ = 11£"]]),
    ("typographic punctuation",
     ["„Ja“, sagte er – »nein« …", "¿Qué? ¡No!", "l’été, 5€, 20°C, ½ liter, ²", "«Привет», — сказал он."],
     [["\"Ja\", sagte er - «nein»...", "¿Qué? No.", "l'été; 5 €; 20 °C; ½ litre; 2", "«Привет» — говорит он."]]),
    ("chinese",
     ["一个男人站在梯子上擦窗户。", "今天天气很好，不是吗？", "他说：“我用Rust写了1,000行代码。”", "二〇二六年十一月二十一日"],
     [["一名男子正站在梯子上擦窗户。", "今天的天气很好，对吗？", "他说：「我用 Rust 写了 1000 行代码。」", "2026年11月21日"]]),
    ("chinese with rare characters",
     ["𠀀𠀁𠀂是罕见字", "㐀㐁豈更車", "ＡＢＣ１２３！", "①②③㈠㍿", "A—B…C→D≠E"],
     [["𠀀𠀂𠀁是罕見字", "㐀㐁豈車", "ABC123!", "①③㈠㍿㍾", "A——B……C→D=E"]]),
    ("japanese with latin",
     ["私はRustでプログラムを書きます。", "東京タワーは333mです！", "ﾊﾝｶｸとゼンカク", "「はい」、と彼は言った。"],
     [["私はRustを使ってプログラムを書く。", "東京タワーの高さは333mです。", "ハンカクとゼンカク", "「はい」と彼女は言った。"]]),
    ("korean, arabic, hebrew, hindi, thai",
     ["안녕하세요, 세계!", "مرحبا، كيف حالك؟", "שלום, עולם.", "नमस्ते दुनिया।", "สวัสดีชาวโลก"],
     [["안녕, 세계!", "مرحبا كيف حالك؟", "שלום עולם!", "नमस्ते, दुनिया।", "สวัสดีโลก"]]),
    ("emoji and combining marks",
     ["Great 👍🏽 job 👩‍👩‍👧!", "cafe\u0301 naïve", "🇩🇪 → 🇬🇧", "a\u200bb \ufeffc"],
     [["Great 👍 job 👩‍👧!", "café nai\u0308ve", "🇩🇪 ⇒ 🇬🇧", "ab c"]]),
    ("two references",
     ["The children play in the park.", "She reads a very long book about whales", "No."],
     [["The kids are playing in the park.", "She is reading a book on whales.", "No!"],
      ["Children play in a park.", "She reads a very long whale book.", "Certainly not."]]),
    ("three references, some empty",
     ["It is cold outside.", "", "We will arrive tomorrow at noon , I think ."],
     [["It's cold outside.", "Oh.", "We arrive tomorrow at noon, I think."],
      ["Outside it is cold.", "", "I think we will arrive tomorrow at 12."],
      ["", "Ah!", "Tomorrow at noon we will be there"]]),
    ("case", ["THE CAT sat ON the Mat.", "ÜBER GROẞE STRAẞEN", "ΟΔΥΣΣΕΥΣ İstanbul ǅ"],
     [["The cat sat on the mat.", "über große Straßen", "οδυσσευς istanbul ǆ"]]),
    ("hypothesis too long", ["the the the the the the the the cat and the dog and the bird"], [["the cat and a dog"]]),
    ("hypothesis too short", ["A cat.", "Snow falls."],
     [["A cat that nobody had ever seen before sat on the roof.", "Snow falls on the roofs of the old town at night."]]),
    ("repetition", ["so so so so so so", "ha ha ha ha", "aaaa aaaa aaaa"], [["so so", "ha ha ha ha ha", "aaa aaaaa"]]),
    ("tokenised already", ["The dog , which was old , slept .", "Is it 5 o ' clock ?"],
     [["The dog, which was old, slept.", "Is it 5 o'clock?"]]),
    ("moved words",
     ["in the park the children play", "yesterday he bought a very old red car in the town",
      "the the cat the dog the bird the fish sat sat", "e f g h a b c d", "x a b y c d z"],
     [["the children play in the park", "he bought an old very red car in town yesterday",
       "sat the fish the bird the dog the cat the", "a b c d e f g h", "c d x z a b y"]]),
    ("moved far, and long lines",
     [" ".join(f"w{(7 * index) % 64}" for index in range(64)), " ".join("ab"[index % 3 % 2] for index in range(90)),
      " ".join(f"w{index}" for index in range(30, 130)), "w0 " * 70],
     [[" ".join(f"w{index}" for index in range(64)), " ".join("ba"[index % 2] for index in range(80)),
       " ".join(f"w{index}" for index in range(100)), "w0"]]),
    ("several marks in a row", ["well ,,, yes .... 8,,9", "a,,88 5..x"], [["well,,, yes.... 8,,9", "a,,88 5..x,,"]]),
    ("line breaks inside", ["a hyphen-\nated word\nand a line", "x\r"], [["a hyphenated word and a line", "x"]]),
]

LETTERS = {
    "ascii": "aab bc cd .,;-!?'\"()/&<>0123456789  ABC",
    "european": "äöüßéèñçšžø aeiou nrst ÄÖÜ „“”«»–—…’€£°½²  .,1",
    "cjk": "我你他的是在有好天人大小中国，。！？「」：１Ａ a1. 𠀀㐀ひらカタ한글…—“”",
    "strange": " \t\u00a0\u3000\u2003\u001f\u0085.,-1٣½Ⅷaß�️\u0301👍€+^`_~@#٪।؟·•†\u200b\u2001\u2a6d\u2f81\u2fe0\u9fbc",
}


def random_cases(number, generator):
    """Short random lines; hypotheses are references with some characters exchanged, dropped or doubled."""
    def line(letters):
        return "".join(generator.choice(letters) for _ in range(generator.randrange(0, 60)))

    def damage(text, letters):
        rate = generator.choice([0.0, 0.02, 0.1, 0.4])
        changed = []
        for character in text:
            if generator.random() < rate:
                changed.append(generator.choice(["", character * 2, generator.choice(letters)]))
            else:
                changed.append(character)
        return "".join(changed)

    for index in range(number):
        name = generator.choice(sorted(LETTERS))
        letters = LETTERS[name]
        sets = generator.randrange(1, 4)
        lines = [line(letters) for _ in range(generator.randrange(1, 6))]
        yield f"random {index} {name}", [damage(text, letters) for text in lines], [
            [damage(text, letters) for text in lines] for _ in range(sets)]


def metrics():
    """Our options and the sacreBLEU metrics for them, as (options, corpus metric, sentence metric)."""
    for tokenizer in ["13a", "intl", "char", "zh", "none"]:
        yield bleu(tokenize=tokenizer)
    yield bleu(tokenize="13a", lowercase=True)
    yield bleu(tokenize="intl", lowercase=True)
    for method, value in [("none", None), ("floor", None), ("add-k", None), ("floor", 0.03), ("add-k", 2.5)]:
        yield bleu(tokenize="13a", smooth_method=method, smooth_value=value)
    for options in [{}, {"word_order": 2}, {"lowercase": True}, {"word_order": 2, "lowercase": True},
                    {"whitespace": True}, {"word_order": 2, "whitespace": True}]:
        metric = CHRF(**options)
        yield {"metric": "chrf", **options}, metric, metric
    for options in [{}, {"normalized": True}, {"no_punct": True}, {"asian_support": True, "normalized": True},
                    {"asian_support": True, "no_punct": True, "case_sensitive": True},
                    {"asian_support": True, "no_punct": True, "normalized": True}]:
        metric = TER(**options)
        yield {"metric": "ter", **options}, metric, metric


def bleu(smooth_method="exp", smooth_value=None, **options):
    """The options of one BLEU variant, and it for corpora and for sentences."""
    def build(effective_order):
        return BLEU(smooth_method=smooth_method, smooth_value=smooth_value, effective_order=effective_order, **options)

    smoothing = smooth_method if smooth_value is None else f"{smooth_method}={smooth_value}"
    return {"metric": "bleu", "smoothing": smoothing, **options}, build(False), build(True)


def comparison(seed, lines, samples, rates, generator):
    """Systems that damage the same reference at different rates, with sacreBLEU's paired bootstrap of them."""
    vocabulary = [f"{consonant}{vowel}{end}" for consonant in "bdfgklmnprst" for vowel in "aeiou" for end in ["", "n"]]
    references = [[generator.choice(vocabulary) for _ in range(generator.randrange(4, 16))] for _ in range(lines)]

    def damage(words, rate):
        words = [generator.choice(vocabulary) if generator.random() < rate else word for word in words]
        if generator.random() < rate:
            words.insert(generator.randrange(len(words)), words.pop())
        return " ".join(words)

    systems = [(f"system {index}", [damage(words, rate) for words in references])
               for index, rate in enumerate(rates)]
    references = [[" ".join(words) for words in references]]
    os.environ["SACREBLEU_SEED"] = str(seed)
    metrics = {"BLEU": BLEU(), "CHRF": CHRF(), "TER": TER()}
    signatures, scores = PairedTest(systems, metrics, references, test_type="bs", n_samples=samples)()
    results = {name: [vars(result) for result in column] for name, column in scores.items() if name != "System"}
    return {
        "seed": seed, "resamples": samples, "references": references[0], "systems": [lines for _, lines in systems],
        "signatures": {name: str(signature) for name, signature in signatures.items()},
        "results": json.loads(json.dumps(results, default=float)),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)

    cases = CASES
    if arguments.random:
        cases = random_cases(arguments.random, random.Random(arguments.seed))
    result = {"sacrebleu": sacrebleu.__version__, "cases": []}
    for name, hypotheses, references in cases:
        scores = []
        for options, corpus, sentence in metrics():
            score = corpus.corpus_score(hypotheses, references)
            lines = [sentence.sentence_score(line, [one[index] for one in references])
                     for index, line in enumerate(hypotheses)]
            scores.append({
                **options,
                "signature": str(corpus.get_signature()),
                "corpus": score.format(2),
                "value": score.score,
                "sentence_signature": str(sentence.get_signature()),
                "sentences": [line.format(2) for line in lines],
            })
        result["cases"].append({"name": name, "hypotheses": hypotheses, "references": references, "scores": scores})
    generator = random.Random(arguments.seed)
    result["comparisons"] = [
        comparison(12345, 60, 1000, [0.3, 0.28, 0.33, 0.3], generator), comparison(7, 25, 500, [0.5, 0.2], generator),
    ] if not arguments.random else [
        comparison(generator.randrange(1, 10**6), generator.randrange(1, 200), 300,
                   [generator.uniform(0.1, 0.4), generator.uniform(0.1, 0.4)], generator)
        for _ in range(arguments.random)
    ]
    with open(arguments.output, "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, indent=None if arguments.random else 0, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
