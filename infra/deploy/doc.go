// Package deploy tests deploy.sh, which make deploy runs.
package deploy
