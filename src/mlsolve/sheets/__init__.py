"""Sheets for a print shop, and the pages that say how to assemble them.

shop.py holds what a shop takes; plan.py says in millimetres what is where on a sheet, and marks.py draws that as
outlines. rows.py reads a layer with its bleed, row by row. pdf.py and document.py write PDF/X-4, sheet_files.py one
file of a sheet, output_profile.py the profile that PDF/X asks for, inks.py CMYK, films.py and screens.py binary
films, tiling.py pages for a printer at home. inventory.py says what was written, file by file; assembly.py draws
the pages for the workshop, order.py writes what the shop is told. tasks.py finds what is to be made of the output
folder of a run, and folder.py makes it. inspection.py looks at a file as a shop's preflight does.

Knows the output folder of a finished run, and nothing about the solve. Called by the command line
and by the studio.
"""
