"""Prints the CloudFormation template that SAM makes of a template, as JSON: python transform.py template.yaml

It is AWS's own transform (aws-sam-translator), which CloudFormation runs at a deploy. Parameters stay references.
"""

import json
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """Stands in for the account's list of managed policies. The template names such by their ARN alone."""

    def load(self):
        return {}


def main(file):
    with open(file, encoding="utf-8") as f:
        template = yaml_parse(f)
    # sam deploy uploads what CodeUri names and writes where that is; here stands a place that nobody reads.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource.setdefault("Properties", {})["CodeUri"] = "s3://bucket/code"
        # What cfn-lint is told to overlook, because it looks before the transform, it is to look at after it.
        resource.get("Metadata", {}).pop("cfn-lint", None)
    template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1, default=str)


if __name__ == "__main__":
    main(sys.argv[1])
