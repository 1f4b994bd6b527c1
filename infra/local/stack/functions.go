package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/lambda"
	"carrel/infra/local/template"
)

// invoker passes the gateway's calls to the Lambda host. The gateway starts first, because each needs the other's
// address.
type invoker struct {
	ready chan struct{}
	host  *lambda.Host // set before ready is closed
}

// Invoke waits until the host is ready and invokes the function.
func (i *invoker) Invoke(ctx context.Context, function string, payload []byte) ([]byte, string, error) {
	select {
	case <-i.ready:
		return i.host.Invoke(ctx, function, payload)
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// startFunctions starts the gateway and the Lambda host.
func (s *Stack) startFunctions(binaries map[string]string) error {
	pending := &invoker{ready: make(chan struct{})}
	if err := s.startGateway(pending); err != nil {
		return err
	}
	s.endpoints.WebSocket = s.gateway.URL()
	s.endpoints.Connections = s.gateway.Management() + "/@connections"
	if err := s.startHost(binaries); err != nil {
		return errors.Join(err, s.gateway.Close())
	}
	s.onClose(s.host.Close)
	s.onClose(s.gateway.Close) // runs before the host's Close, so that $disconnect functions still run
	pending.host = s.host
	close(pending.ready)
	return nil
}

func (s *Stack) startGateway(i apigateway.Invoker) error {
	api := s.template.API
	c := apigateway.Config{Addr: address(s.config.GatewayPort), APIID: api.ID, Stage: api.Stage, Region: region,
		Account: account, Routes: map[string]string{}, RouteSelectionExpression: api.RouteSelectionExpression,
		Authorizer: s.functionName(api.Authorizer), Invoker: i, Origins: s.origins(), AccessKeys: s.secret,
		Idle: s.config.Idle, Life: s.config.Life, Reorder: s.config.Reorder, Seed: s.config.Seed,
		LoseDisconnects: s.config.LoseDisconnects, Meter: s.meter,
		Log: func(line string) { s.journal.add("gateway", line) }}
	if s.config.Reorder > 0 {
		s.notice("reordering messages of a socket that are closer than %s: set SEED=%d to repeat", s.config.Reorder,
			s.config.Seed)
	}
	for route, id := range api.Routes {
		c.Routes[route] = s.functionName(id)
	}
	var err error
	if s.gateway, err = apigateway.Start(context.WithoutCancel(s.ending), c); err == nil || s.config.GatewayPort == 0 {
		return err
	}
	c.Addr = address(0)
	var freeErr error
	if s.gateway, freeErr = apigateway.Start(context.WithoutCancel(s.ending), c); freeErr != nil {
		return errors.Join(err, freeErr)
	}
	s.notice("port %d is not available (%v): using %s instead", s.config.GatewayPort, err, s.gateway.URL())
	return nil
}

// startHost starts the Lambda host. The host sets its own address in the functions' environment.
func (s *Stack) startHost(binaries map[string]string) error {
	c := lambda.Config{Addr: address(0), Log: s.journal.add, RetryDelays: s.config.RetryDelays, Region: region,
		Account: account, Queue: s.state.path(dataFolder, "events"), Subject: subject, Ran: s.meter.ran,
		Allow: s.guard.Invoke}
	for _, f := range s.template.Functions {
		c.Functions = append(c.Functions, s.function(f, binaries[f.LogicalID]))
	}
	var err error
	if s.host, err = lambda.Start(context.WithoutCancel(s.ending), c); err != nil {
		return fmt.Errorf("start the Lambda host: %w", err)
	}
	s.endpoints.Lambda = s.host.URL()
	s.meter.host.Store(s.host)
	return nil
}

// function describes a function of the template to the host. Its environment holds the template's variables and the
// SDK's standard variables for endpoints and credentials.
func (s *Stack) function(f template.Function, binary string) lambda.Function {
	env := maps.Clone(f.Env)
	if f.LogicalID == "TurnFunction" {
		maps.Copy(env, s.config.TurnEnv)
	}
	key := s.keys[f.LogicalID]
	maps.Copy(env, map[string]string{
		"AWS_REGION": region, "AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret,
		"AWS_ENDPOINT_URL_DYNAMODB":                s.endpoints.DynamoDB,
		"AWS_ENDPOINT_URL_STS":                     s.endpoints.STS,
		"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": s.gateway.Management(),
	})
	return lambda.Function{Name: f.Name, Binary: binary, Env: env, MemoryMB: f.MemoryMB,
		Timeout:   cmp.Or(s.config.Timeouts[f.LogicalID], f.Timeout),
		PerTenant: f.PerTenant, Concurrency: f.Concurrency, MaxRetries: f.MaxRetries, MaxEventAge: f.MaxEventAge,
		OnFailure: s.functionName(f.OnFailure), AllowRecursion: f.AllowRecursion}
}

// functionName returns the name of the function with this logical id, or "" if there is none.
func (s *Stack) functionName(logicalID string) string {
	f, _ := s.template.Function(logicalID)
	return f.Name
}

// credential is the access key of a function.
type credential struct {
	id, secret string
	posts      bool // the function's policies allow execute-api:ManageConnections
}

// makeKeys gives each function an access key. The id is derived from the function's name; the secret is new in each
// run.
func (s *Stack) makeKeys() {
	for _, f := range s.template.Functions {
		sum := sha256.Sum256([]byte(f.Name))
		s.keys[f.LogicalID] = credential{"AKIA" + base32.StdEncoding.EncodeToString(sum[:10]), rand.Text(),
			allows(f.Policies, "execute-api:ManageConnections")}
	}
}

// secret returns the secret of an access key to the gateway. It knows only functions that may manage connections.
func (s *Stack) secret(id string) (string, bool) {
	for _, k := range s.keys {
		if k.id == id && k.posts {
			return k.secret, true
		}
	}
	return "", false
}

// allows reports whether the policies allow an action, regardless of resources and conditions.
func allows(policies []template.Statement, action string) bool {
	allowed := false
	for _, statement := range policies {
		for _, pattern := range statement.Action {
			if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(action)); err != nil || !ok {
				continue
			}
			if statement.Effect == "Deny" {
				return false
			}
			allowed = true
		}
	}
	return allowed
}
