package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"

	"carrel/infra/local/template"
	"carrel/infra/parameters"
)

// templateFile is the template, in the folder that the command runs in.
const templateFile = "template.yaml"

// settings are what the environment asks for.
type settings struct {
	sam, stack, goarch string
	yes                bool
	given              map[string]string // the parameters that PARAMETERS and GOARCH name
	source             []byte            // the template
	defaults           map[string]string // all parameters with the template's defaults
}

// readSettings reads the environment and reports all mistakes in it at once.
func readSettings(getenv func(string) string) (settings, error) {
	s := settings{sam: getenv("SAM"), stack: cmp.Or(getenv("CARREL_STACK"), "carrel"),
		goarch: cmp.Or(getenv("GOARCH"), "arm64")}
	var errs []error
	switch getenv("YES") {
	case "", "0":
	case "1":
		s.yes = true
	default:
		errs = append(errs, fmt.Errorf("YES must be 1, 0 or empty, not %q", getenv("YES")))
	}
	// CloudFront's names have 64 characters and hold the Region and a word beside the stack's name.
	if !regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{0,39}$`).MatchString(s.stack) {
		errs = append(errs, fmt.Errorf("CARREL_STACK must be a letter, then letters, digits and hyphens, at most 40 "+
			"in all, not %q", s.stack))
	}
	architecture := map[string]string{"arm64": "arm64", "amd64": "x86_64"}[s.goarch]
	if architecture == "" {
		errs = append(errs, fmt.Errorf("GOARCH must be arm64 or amd64, not %s", s.goarch))
	}
	given, err := parameters.Parse(getenv("PARAMETERS"))
	if err != nil {
		return s, errors.Join(append(errs, err)...)
	}
	if other, ok := given["Architecture"]; ok && other != architecture {
		errs = append(errs, fmt.Errorf("PARAMETERS says Architecture=%s, and GOARCH=%s builds for %s: set GOARCH "+
			"alone", other, s.goarch, architecture))
	}
	given["Architecture"] = architecture
	s.given = given
	if s.source, err = os.ReadFile(templateFile); err != nil {
		return s, errors.Join(append(errs, fmt.Errorf("make deploy runs in the repository's root: %w", err))...)
	}
	if s.defaults, err = template.Parameters(s.source, template.Options{}); err != nil {
		return s, errors.Join(append(errs, err)...)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := s.defaults[name]; !ok {
			errs = append(errs, fmt.Errorf("PARAMETERS names %s, and the template has no such parameter: "+
				"docs/deploying.md lists them", name))
		}
	}
	return s, errors.Join(errs...)
}
