#!/bin/sh
# Opens office documents before and after in LibreOffice, without a window, and compares their texts: the documents that
# the test `only_parts_with_texts_change` left, whose texts after are those before in capitals.
#
#     apt-get install libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui
#     cargo test --test it documents::office
#     sh tests/reference/office_opens.sh [target/tmp/office]
set -eu
documents=${1:-target/tmp/office}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
convert() { # FILE FORMAT
    soffice -env:UserInstallation="file://$work/profile" --headless --convert-to "$2" --outdir "$work/out" "$1" >"$work/log" 2>&1
}
failed=0
for before in "$documents"/before-*; do
    name=${before##*/before-}
    after=$documents/after-$name
    # A filter that gives text (76 is UTF-8); of slides there is none.
    case $name in
        # It writes books and does not read them.
        *.epub) continue ;;
        *.docx | *.odt) kind=txt:Text filter=txt ;;
        *.xlsx | *.ods) kind='csv:Text - txt - csv (StarCalc):44,34,76' filter=csv ;;
        *) kind=odp filter=odp ;;
    esac
    for file in "$before" "$after"; do
        convert "$file" "$kind" || true
        written=$work/out/$(basename "${file%.*}").$filter
        if [ ! -s "$written" ]; then
            echo "$file: LibreOffice does not open it"
            failed=1
            : >"$written"
        fi
        if [ "$filter" = odp ]; then
            unzip -p "$written" content.xml | sed 's/<[^>]*>/\n/g' | grep '[^[:space:]]' >"$written.txt" || true
            mv "$written.txt" "$written"
        fi
    done
    before_text=$work/out/before-${name%.*}.$filter
    after_text=$work/out/after-${name%.*}.$filter
    # Numbers that a program writes itself have no letters.
    upper() { python3 -c 'import sys; sys.stdout.write(sys.stdin.read().upper())' <"$1"; }
    if [ "$(upper "$before_text")" = "$(upper "$after_text")" ] && ! cmp -s "$before_text" "$after_text"; then
        echo "$name: opened, $(wc -w <"$after_text") words, the same texts in capitals"
    else
        echo "$name: the texts differ"
        diff "$before_text" "$after_text" | head -20 || true
        failed=1
    fi
done
exit $failed
