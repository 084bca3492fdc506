"""What is generated from the models: the JSON Schema, the reference documentation."""

from dsl.reference.schema import workflow_schema

__all__ = ["workflow_schema"]
