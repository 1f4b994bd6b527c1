// Command page serves the built page of a deployed stack on this machine: make page CARREL_STACK=carrel. It is for a
// stack with Page=off, whose sign-in returns to the address PageUrl.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"carrel/infra/cli/deployed"
	"carrel/infra/local/loopback"
	"carrel/infra/site"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], world{out: os.Stdout, err: os.Stderr, run: deployed.Program,
		built: os.DirFS("web/dist")})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// world is what surrounds the command.
type world struct {
	out, err io.Writer
	run      deployed.Run
	built    fs.FS // the built page
}

// stopTime is how long the answers that are being written may take when the server ends.
const stopTime = 2 * time.Second

func run(ctx context.Context, args []string, w world) error {
	flags := flag.NewFlagSet("page", flag.ContinueOnError)
	flags.SetOutput(w.err)
	stack := flags.String("stack", "carrel", "the stack's name")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("it takes flags only, not %q", flags.Arg(0))
	}
	outputs, err := deployed.Outputs(ctx, w.run, *stack)
	if err != nil {
		return err
	}
	if err := deployed.Require(outputs, *stack, "Page", "WebSocket", "Issuer", "PageClient", "PageScope"); err != nil {
		return err
	}
	page, err := address(outputs["Page"], *stack)
	if err != nil {
		return err
	}
	listener, err := loopback.Listen(ctx, page)
	if err != nil {
		return fmt.Errorf("serve the page at %s, where sign-in returns to: %w", outputs["Page"], err)
	}
	return serve(ctx, listener, w, site.Config{WebSocket: outputs["WebSocket"], Issuer: outputs["Issuer"],
		ClientID: outputs["PageClient"],
		Scope:    outputs["PageScope"]}, outputs["Page"])
}

// address is where this machine serves a page that is at a URL.
func address(page, stack string) (string, error) {
	u, err := url.Parse(page)
	if err != nil {
		return "", fmt.Errorf("the stack %s has the page's address %q: %w", stack, page, err)
	}
	if u.Scheme != "http" || u.Hostname() != "localhost" {
		return "", fmt.Errorf("the page of the stack %s is at %s, not on this machine. A stack that is deployed with "+
			"Page=off has it at "+
			"http://localhost:3000/", stack, page)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort("127.0.0.1", port), nil
}

// serve serves until the context ends.
func serve(ctx context.Context, l *loopback.Listener, w world, config site.Config, page string) error {
	mux := http.NewServeMux()
	mux.Handle("GET /config.json", config)
	mux.Handle("/", site.Files{From: w.built})
	server := l.Server(loopback.Config{Handler: mux, Idle: time.Minute,
		Opens: func(path string) bool { return site.Name(path) == site.Index },
		Log:   func(line string) { fmt.Fprintln(w.err, "page:", line) }})
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	fmt.Fprintf(w.out, "%s   (Ctrl-C stops it; websocket %s)\n", page, config.WebSocket)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return errors.Join(server.Stop(stopTime), <-served)
	}
}
