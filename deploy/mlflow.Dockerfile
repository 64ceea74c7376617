# The tracking server of docker-compose.yml: MLflow, PostgreSQL's driver, and what an S3-compatible store needs.
FROM python:3.12.11-slim-bookworm

COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt \
        "mlflow==3.17.2" "psycopg[binary]==3.3.9" "boto3==1.44.5"

RUN useradd --create-home mlflow && mkdir /artifacts && chown mlflow /artifacts
USER mlflow
WORKDIR /home/mlflow
