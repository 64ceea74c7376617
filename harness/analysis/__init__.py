"""Numbers about numbers: tidy frames, loss dynamics and summaries of plain records. No torch, no mlflow."""
