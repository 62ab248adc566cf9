"""Pictures as files: facts to figures, and figures to the bytes of SVG, PNG and PDF."""
