// Command centrifuge runs a server with the library centrifuge, in a process of its own, for benchmarks. It serves the
// paths of the local stack's API Gateway: a socket at /v1, and posts at /v1/@connections/<channel>. Each client is
// subscribed to the channels of its URL's query.
//
// It prints one line of JSON with its addresses. Then it answers each line of its standard input with the bytes of
// memory that it holds after a garbage collection, and ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge"
)

// kept is how many messages of a channel a client can recover, and for how long.
const (
	kept    = 1000
	keptFor = time.Hour
)

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelNone})
	if err != nil {
		return err
	}
	node.OnConnecting(func(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "bench"}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			reply(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: true}}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	mux.HandleFunc("POST /v1/@connections/", func(w http.ResponseWriter, r *http.Request) { post(node, w, r) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { log.Fatal(http.Serve(listener, mux)) }()
	address, err := json.Marshal(map[string]string{"websocket": "ws://" + listener.Addr().String() + "/v1",
		"connections": "http://" + listener.Addr().String() + "/v1/@connections"})
	if err != nil {
		return err
	}
	fmt.Println(string(address))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		debug.FreeOSMemory()
		resident, err := resident()
		if err != nil {
			return err
		}
		fmt.Println(resident)
	}
	return lines.Err()
}

// post publishes the request's body to the channel that the path names. A channel whose name begins with "kept" keeps
// its messages for clients that come back.
func post(node *centrifuge.Node, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	channel, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/v1/@connections/"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var options []centrifuge.PublishOption
	if strings.HasPrefix(channel, "kept") {
		options = append(options, centrifuge.WithHistory(kept, keptFor))
	}
	if _, err := node.Publish(channel, body, options...); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// resident returns the bytes of this process that are in memory.
func resident() (int, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	return pages * os.Getpagesize(), nil
}
