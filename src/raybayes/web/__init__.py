"""The workbench: a local web page on finished runs. Starlette and one page of plain JavaScript."""
