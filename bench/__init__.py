"""Tenantry beside what people would pick instead, on the same PostgreSQL, in the same run.

    python -m bench --help

`contenders.py` says who takes part, `data.py` what they work on. Load comes from wrk (`wrk.py`),
what was found are figures (`figures.py`), and `report.py` shows them. Real time has a study of its
own in `realtime/`. docs/performance.md says what is measured and what came of it.
"""
