"""Published studies, run again: what was published beside what fewlabel measures.

``fewlabel reproduce STUDY`` runs them. Each study is a folder with its settings
(``config.toml``), its rows (``study.py``), the published figures (``published.csv``) and the
last full measurement (``ours.csv``). A study uses fewlabel as anybody could: through its public
names alone.
"""
