package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"carrel/infra/site"
)

// publish uploads the page, or says how to serve it where the stack has no CloudFront.
func (d *deployment) publish(ctx context.Context) error {
	needed := []string{"Page", "WebSocket", "Issuer", "PageClient", "PageScope"}
	served := d.stackNow.parameter("Page") != "off"
	if served {
		needed = append(needed, "PageFiles", "PageDistribution")
	}
	var missing []string
	for _, name := range needed {
		if d.stackNow.output(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the stack %s lacks the output %s, so the page was not uploaded: is the stack this "+
			"template's?", d.stack, strings.Join(missing, ", "))
	}
	if served {
		if err := d.upload(ctx); err != nil {
			return fmt.Errorf("the stack %s is deployed, and the page is not. Run make deploy again: %w", d.stack, err)
		}
	}
	d.say("%s   (websocket %s, issuer %s)", d.stackNow.output("Page"), d.stackNow.output("WebSocket"),
		d.stackNow.output("Issuer"))
	if !served {
		d.say("The stack has no CloudFront. Serve the page at this address with make page CARREL_STACK=%s", d.stack)
	}
	return nil
}

// upload uploads the page: first the files that the new page needs, then the page. Old assets stay, because open
// windows may still request them. No new asset overwrites an old one: an asset's name contains a hash of its content.
func (d *deployment) upload(ctx context.Context) (err error) {
	folder, err := os.MkdirTemp("", "carrel-page-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	config, err := json.Marshal(site.Config{WebSocket: d.stackNow.output("WebSocket"),
		Issuer:   d.stackNow.output("Issuer"),
		ClientID: d.stackNow.output("PageClient"), Scope: d.stackNow.output("PageScope")})
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "config.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	bucket := "s3://" + d.stackNow.output("PageFiles")
	for _, args := range [][]string{
		{"s3", "cp", "web/dist/assets", bucket + "/assets", "--recursive", "--only-show-errors", "--cache-control",
			"public, max-age=31536000, immutable"},
		{"s3", "cp", file, bucket + "/config.json", "--only-show-errors", "--content-type", "application/json",
			"--cache-control", "no-store"},
		{"s3", "cp", "web/dist", bucket, "--recursive", "--exclude", "assets/*", "--only-show-errors",
			"--cache-control", "no-cache"},
		{"cloudfront", "create-invalidation", "--distribution-id", d.stackNow.output("PageDistribution"), "--paths",
			"/*"},
	} {
		if err := d.aws(ctx, nil, args...); err != nil {
			return d.explain("aws "+args[0]+" "+args[1], err)
		}
	}
	return nil
}
