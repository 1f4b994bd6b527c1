// Package template tests template.yaml as it is deployed: AWS's own transform (transform.py) makes CloudFormation's
// resources of it, and the tests look at those. How the local stack reads the template is infra/local/template's.
package template
