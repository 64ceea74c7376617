"""Numbers about numbers: tidy frames, loss dynamics and summaries of plain records. Imports pandas; no torch, no mlflow."""
