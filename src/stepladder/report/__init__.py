"""The report of a climb: one HTML page that opens offline, and a Markdown guide beside its pictures."""

from stepladder.report.render import Pages, write_report

__all__ = ["Pages", "write_report"]
