package bench_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
)

// The times that calls take on AWS, as assumed for the metrics "AWS-like". The local stack's own times come on top.
const (
	itemTakes        = 4500 * time.Microsecond // a put, an update, a read
	transactionTakes = 10 * time.Millisecond
	postTakes        = 15 * time.Millisecond
	invokeTakes      = 20 * time.Millisecond
	stsTakes         = 40 * time.Millisecond
)

// likeAWS delays the calls of the functions by the times that they take on AWS, for processes that start from now on.
func likeAWS(t testing.TB, s *stack.Stack) {
	t.Helper()
	s.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if strings.HasPrefix(r.Operation, "Transact") {
			<-time.After(transactionTakes)
		} else {
			<-time.After(itemTakes)
		}
		return proxy.Fine, nil
	})
	posts := delayed(t, strings.TrimSuffix(s.Endpoints().Connections, "/@connections"), postTakes)
	env := map[string]string{"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": posts, "ENDPOINT": posts,
		"AWS_ENDPOINT_URL_LAMBDA": delayed(t, s.Endpoints().Lambda, invokeTakes),
		"AWS_ENDPOINT_URL_STS":    delayed(t, s.Endpoints().STS, stsTakes)}
	s.Host().SetFaults(lambda.Faults{Env: func(string, string) map[string]string { return env }})
}

// delayed returns the URL of a proxy that delays each request to an address.
func delayed(t testing.TB, to string, takes time.Duration) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Transport: &http.Transport{MaxIdleConnsPerHost: 100},
		Rewrite: func(r *httputil.ProxyRequest) { // the host stays: it is signed
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(takes):
		case <-r.Context().Done():
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + target.Path
}
