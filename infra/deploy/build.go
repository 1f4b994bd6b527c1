package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// build builds the page and the functions, and uploads the functions and the template that names them. It returns the
// arguments that name the template: it is too large to be sent with a change set.
func (d *deployment) build(ctx context.Context) ([]string, error) {
	d.say("Building the page and the functions…")
	if err := d.quiet(ctx, "make", "--no-print-directory", "web/dist/index.html"); err != nil {
		return nil, err
	}
	if err := d.quiet(ctx, d.sam, "build", "--parameter-overrides",
		"Architecture="+d.given["Architecture"]); err != nil {
		return nil, err
	}
	folder := ".carrel"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	packaged := filepath.Join(folder, "packaged.yaml")
	d.say("Uploading the functions…")
	if err := d.quiet(ctx, d.sam, "package", "--resolve-s3", "--s3-prefix", "carrel", "--output-template-file",
		packaged); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(packaged)
	if err != nil {
		return nil, err
	}
	bucket, err := bucketOf(text)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	key := "carrel/" + hex.EncodeToString(sum[:16]) + ".template"
	if err := d.aws(ctx, nil, "s3", "cp", packaged, "s3://"+bucket+"/"+key, "--only-show-errors"); err != nil {
		return nil, d.explain("upload the template", err)
	}
	suffix := map[string]string{"aws-cn": "amazonaws.com.cn"}[d.partition]
	if suffix == "" {
		suffix = "amazonaws.com"
	}
	return []string{"--template-url", fmt.Sprintf("https://%s.s3.%s.%s/%s", bucket, d.region, suffix, key)}, nil
}

// bucketOf is the bucket that SAM has uploaded the functions to, as the template that it has written names it.
func bucketOf(template []byte) (string, error) {
	var t struct {
		Resources map[string]struct {
			Properties struct {
				CodeURI yaml.Node `yaml:"CodeUri"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(template, &t); err != nil {
		return "", fmt.Errorf("read the template that SAM has packaged: %w", err)
	}
	for _, r := range t.Resources {
		if rest, ok := strings.CutPrefix(r.Properties.CodeURI.Value, "s3://"); ok {
			bucket, _, _ := strings.Cut(rest, "/")
			return bucket, nil
		}
	}
	return "", errors.New("the template that SAM has packaged names no bucket: does sam package work?")
}
