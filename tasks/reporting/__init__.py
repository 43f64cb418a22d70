"""The report: a page of sections, each a module that builds what it shows and a template beside it (`sections.SECTIONS`)."""
