"""Small office documents for tests/it/documents/data, written by the libraries that most programs in Python use.

    pip install python-docx python-pptx openpyxl odfpy ebooklib
    python tests/reference/documents_reference.py

Each is packed again with fixed times, without pictures of the first page and without layouts that nothing uses, so that a file
is small and the same at every call.
"""

import io
import re
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
from ebooklib import epub
from odf import opendocument, style, table, text
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.comments import Comment

DATA = Path(__file__).parent.parent / "it" / "documents" / "data"
TIME = (2026, 1, 1, 0, 0, 0)


def packed(content, drop=()):
    """The archive without some entries, at fixed times."""
    source = zipfile.ZipFile(io.BytesIO(content))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as target:
        for entry in source.infolist():
            if any(re.search(pattern, entry.filename) for pattern in drop):
                continue
            data = source.read(entry)
            if entry.filename.endswith((".rels", "[Content_Types].xml")):
                for pattern in drop:
                    data = re.sub(rb'<(Relationship|Override) [^>]*(Target|PartName)="[^"]*' + pattern.encode() + rb'[^>]*/>', b"", data)
            data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", b"2026-01-01T00:00:00Z", data)
            information = zipfile.ZipInfo(entry.filename, TIME)
            information.compress_type = zipfile.ZIP_STORED if entry.filename == "mimetype" else zipfile.ZIP_DEFLATED
            target.writestr(information, data, compresslevel=9)
    return written.getvalue()


def word():
    document = docx.Document()
    document.add_heading("Der Garten im Herbst", 1)
    paragraph = document.add_paragraph("Die ")
    paragraph.add_run("roten").bold = True
    paragraph.add_run(" Äpfel liegen im ")
    paragraph.add_run("Gras").italic = True
    paragraph.add_run(".\tSie sind reif.")
    document.add_paragraph("Erster Punkt", style="List Bullet")
    cells = document.add_table(rows=1, cols=2).rows[0].cells
    cells[0].text, cells[1].text = "Baum", "Höhe"
    document.sections[0].header.paragraphs[0].text = "Kopfzeile"
    document.sections[0].footer.paragraphs[0].text = "Fußzeile"
    document.add_comment(paragraph.runs, text="Stimmt das?", author="A", initials="A")
    written = io.BytesIO()
    document.save(written)
    content = written.getvalue()
    # Styles that nothing uses are most of the file.
    used = {"Normal", "Heading1", "ListBullet", "TableNormal", "DefaultParagraphFont", "NoList", "Header", "Footer"}
    source = zipfile.ZipFile(io.BytesIO(content))
    styles = source.read("word/styles.xml").decode()
    styles = re.sub(r"<w:latentStyles.*?</w:latentStyles>", "", styles, flags=re.S)
    styles = re.sub(r'<w:style [^>]*w:styleId="([^"]*)".*?</w:style>', lambda m: m[0] if m[1] in used else "", styles, flags=re.S)
    return packed(replaced(content, "word/styles.xml", styles), [r"docProps/thumbnail", r"stylesWithEffects", r"customXml"])


def replaced(content, name, data):
    source = zipfile.ZipFile(io.BytesIO(content))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, data if entry.filename == name else source.read(entry))
    return written.getvalue()


def presentation():
    slides = pptx.Presentation()
    unused = [layout for number, layout in enumerate(slides.slide_layouts) if number != 1]
    for layout in unused:
        slides.slide_layouts.remove(layout)
    slide = slides.slides.add_slide(slides.slide_layouts[0])
    slide.shapes.title.text = "Unser Plan"
    frame = slide.placeholders[1].text_frame
    frame.text = "Zuerst messen wir"
    paragraph = frame.add_paragraph()
    for words, bold in [("Dann wird ", False), ("alles", True), (" gebaut", False)]:
        run = paragraph.add_run()
        run.text, run.font.bold = words, bold
    grid = slide.shapes.add_table(1, 2, 0, 0, 900000, 300000).table
    grid.cell(0, 0).text, grid.cell(0, 1).text = "Monat", "Kosten"
    slide.notes_slide.notes_text_frame.text = "Hier langsam sprechen."
    written = io.BytesIO()
    slides.save(written)
    return packed(written.getvalue(), [r"docProps/thumbnail", r"printerSettings"])


def sheet():
    book = openpyxl.Workbook()
    page = book.active
    page.title = "Übersicht"
    page["A1"], page["B1"] = "Name", "Preis in Euro"
    page["A2"], page["B2"], page["B3"] = "Grüner Tisch", 12.5, "=SUM(B2:B2)"
    page["A3"] = CellRichText("Ein ", TextBlock(InlineFont(b=True), "schwerer"), " Stuhl")
    page["A4"] = "Zeile eins\nZeile zwei"
    page["A2"].comment = Comment("Aus dem Keller", "A")
    written = io.BytesIO()
    book.save(written)
    return packed(written.getvalue())


def open_text():
    document = opendocument.OpenDocumentText()
    bold = style.Style(name="Fett", family="text")
    bold.addElement(style.TextProperties(fontweight="bold"))
    document.automaticstyles.addElement(bold)
    document.text.addElement(text.H(outlinelevel=1, text="Der Winter"))
    paragraph = text.P(text="Im ")
    paragraph.addElement(text.Span(stylename=bold, text="tiefen"))
    paragraph.addText(" Schnee")
    note = text.Note(noteclass="footnote", id="n1")
    note.addElement(text.NoteCitation(text="1"))
    body = text.NoteBody()
    body.addElement(text.P(text="Eine Anmerkung."))
    note.addElement(body)
    paragraph.addElement(note)
    paragraph.addText(" liegt ein Schlitten.")
    document.text.addElement(paragraph)
    written = io.BytesIO()
    document.write(written)
    return packed(written.getvalue())


def open_sheet():
    document = opendocument.OpenDocumentSpreadsheet()
    page = table.Table(name="Blatt")
    row = table.TableRow()
    cell = table.TableCell(valuetype="string")
    cell.addElement(text.P(text="Guten Morgen"))
    number = table.TableCell(valuetype="float", value="3")
    number.addElement(text.P(text="drei"))
    row.addElement(cell)
    row.addElement(number)
    page.addElement(row)
    document.spreadsheet.addElement(page)
    written = io.BytesIO()
    document.write(written)
    return packed(written.getvalue())


def book():
    volume = epub.EpubBook()
    volume.set_identifier("buch")
    volume.set_title("Das kleine Buch")
    volume.set_language("de")
    chapter = epub.EpubHtml(title="Anfang", file_name="anfang.xhtml", lang="de")
    chapter.content = "<h1>Anfang</h1><p>Es war ein <em>kalter</em> Tag &amp; niemand kam.</p><p>Ende<br/>gut</p>"
    volume.add_item(chapter)
    volume.toc = (chapter,)
    volume.add_item(epub.EpubNcx())
    volume.add_item(epub.EpubNav())
    volume.spine = ["nav", chapter]
    path = DATA / "book.epub"
    epub.write_epub(str(path), volume)
    return packed(path.read_bytes())


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for name, made in [
        ("word.docx", word),
        ("presentation.pptx", presentation),
        ("sheet.xlsx", sheet),
        ("text.odt", open_text),
        ("sheet.ods", open_sheet),
        ("book.epub", book),
    ]:
        content = made()
        (DATA / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes")
