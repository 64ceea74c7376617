"""What a person reads: figures, tables and report.md. Imports pandas and matplotlib, never torch."""
