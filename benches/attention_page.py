#!/usr/bin/env python3
"""How fast the attention page draws, in headless Chromium; needs chromium and chromedriver, and nothing beyond Python's own library.

    cargo build --release
    python3 benches/attention_page.py target/release/translate

One line of 250 words against 250 words with all kinds, layers and heads of the built-in Transformer, and a page of 1,000 sentences.
Prints medians of 20: from opening the page to its first picture, and from each kind of switch to the frame that shows it.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import urllib.request

WORDS_DE = "ein kleiner Hund läuft über die Straße und sieht den Mann mit dem roten Hut vor einem Haus im Park".split()
WORDS_EN = "a small dog runs across the street and sees the man with the red hat before a house in park".split()


class Browser:
    """Headless Chromium through chromedriver, by the WebDriver protocol."""

    def __init__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if "successfully on port" in line:
                self.port = int(line.split("on port ")[1].strip().rstrip("."))
                break
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}
        self.session = ""
        self.session = self.post("/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def post(self, path, body):
        address = f"http://127.0.0.1:{self.port}" + (f"/session/{self.session}{path}" if self.session else path)
        request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["value"]

    def open(self, page):
        self.post("/url", {"url": page})

    def run(self, script):
        return self.post("/execute/async", {"script": script, "args": []})

    def close(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/session/{self.session}", method="DELETE")
        urllib.request.urlopen(request).read()
        self.driver.kill()


# From the first byte of the page to the frame after its first picture.
FIRST = """
const done = arguments[0];
const wait = () => {
  const mark = performance.getEntriesByName('drawn')[0];
  if (!mark) return setTimeout(wait, 1);
  done([mark.startTime, performance.getEntriesByType('navigation')[0].responseEnd]);
};
wait();
"""

# From a change to the end of the frame that shows it: a message sent within the frame arrives when it is painted. What has to be
# unpacked first is drawn later than the change, so the frame is the one after the drawing. An action that draws nothing is an error.
SWITCH = """
const done = arguments[0];
const root = document.documentElement.dataset;
const before = root.drawn;
const start = performance.now();
const redraws = (%s)() !== "no drawing";
const frame = () => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => done(performance.now() - start);
  channel.port2.postMessage(0);
});
const wait = () => {
  if (!redraws || root.drawn !== before) frame();
  else if (performance.now() - start > 20000) done(null);
  else setTimeout(wait, 0);
};
wait();
"""

SWITCHES = {
    "layer": "() => { const all = [...document.querySelectorAll('input[name=layer]')]; all[(all.findIndex((one) => one.checked) + 1) % all.length].click(); }",
    "head": "() => { const all = [...document.querySelectorAll('input[name=head]')]; all[(all.findIndex((one) => one.checked) + 1) % all.length].click(); }",
    "words": "() => document.getElementById('words').click()",
    "sentence end": "() => document.getElementById('mask').click()",
    "fit": "() => { document.getElementById((window.fits = !window.fits) ? 'zoom-fit' : 'zoom-reset').click(); return 'no drawing'; }",
}
# Last, because it changes what the others would switch.
KIND = "() => { const all = [...document.querySelectorAll('input[name=kind]')]; all[(all.findIndex((one) => one.checked) + 1) % all.length].click(); }"
KEY = "document.getElementById('list').dispatchEvent(new KeyboardEvent('keydown', { key: %s, bubbles: true }))"



def page(program, directory, name, pairs, more):
    source = directory / f"{name}.tsv"
    source.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
    target = directory / f"{name}.html"
    subprocess.run([program, "attn-dump", "--pairs", *more, "--output", target, source], check=True, stderr=subprocess.DEVNULL)
    return target


def sentence(words, length, rng):
    return " ".join(rng.choice(words) for _ in range(length))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the translate program")
    parser.add_argument("--times", type=int, default=20)
    arguments = parser.parse_args()
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        long_pairs = [(sentence(WORDS_DE, 250, rng), sentence(WORDS_EN, 250, rng)) for _ in range(3)]
        many_pairs = [(sentence(WORDS_DE, rng.randint(5, 20), rng), sentence(WORDS_EN, rng.randint(5, 20), rng)) for _ in range(1000)]
        long_page = page(arguments.program, directory, "long", long_pairs, ["--kind", "all"])
        many_page = page(arguments.program, directory, "many", many_pairs, [])
        browser = Browser()
        try:
            for title, path in [("250 x 250 words, all kinds, layers and heads (3 lines)", long_page), ("1,000 sentences", many_page)]:
                print(f"{title}: {path.stat().st_size / 1e6:.2f} MB")
                drawn = []
                for _ in range(arguments.times):
                    browser.open("about:blank")
                    browser.open(path.as_uri())
                    mark, response = browser.run(FIRST)
                    drawn.append((mark, mark - response))
                whole = statistics.median(one for one, _ in drawn)
                after = statistics.median(one for _, one in drawn)
                print(f"  first picture: {whole:.0f} ms after opening, {after:.0f} ms after the last byte")
                numbers = browser.run("const d = arguments[0]; const w = () => document.getElementById('multiples').dataset.ready ? d(1) : setTimeout(w, 5); w()")
                assert numbers == 1
                switches = dict(SWITCHES)
                if path == many_page:
                    # Each one new; a page of three has only the first and the last.
                    switches["next sentence"] = "() => { " + KEY % "'ArrowDown'" + "; }"
                    switches["list scrolled"] = "() => { document.getElementById('list').scrollTop = Math.random() * 50000; return 'no drawing'; }"
                else:
                    switches["sentence seen before"] = "() => { " + KEY % "(window.last = !window.last) ? 'End' : 'Home'" + "; }"
                    switches["kind"] = KIND
                for kind, action in switches.items():
                    times = [browser.run(SWITCH % action) for _ in range(arguments.times)]
                    assert None not in times, f"{kind}: nothing was drawn"
                    print(f"  {kind}: {statistics.median(times):.0f} ms (most {max(times):.0f})")
        finally:
            browser.close()


if __name__ == "__main__":
    sys.exit(main())
