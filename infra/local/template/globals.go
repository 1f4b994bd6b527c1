package template

import "go.yaml.in/yaml/v3"

// readGlobals returns the properties of the Globals section for all functions, or nil.
func (r *resolver) readGlobals(o *object) *yaml.Node {
	if o == nil {
		return nil
	}
	function := o.take("Function")
	o.end("only Globals.Function is supported")
	if f := r.object(function, "Globals.Function"); f != nil {
		for _, key := range []string{"FunctionName", "Policies", "Role", "Events"} {
			if f.has(key) {
				r.fail(f.lines[key], "Globals.Function."+key, "cannot be global: give it to each function")
			}
		}
	}
	return function
}

// merge merges global and own properties as SAM does: mappings are merged, lists are concatenated with the global one
// first, and any other own value replaces the global one.
func merge(global, own *yaml.Node) *yaml.Node {
	if own == nil {
		return global
	}
	if global == nil || global.Kind != own.Kind || own.Kind == yaml.ScalarNode || isIntrinsic(global) ||
		isIntrinsic(own) {
		return own
	}
	out := *own
	out.Content = nil
	if own.Kind == yaml.SequenceNode {
		out.Content = append(append(out.Content, global.Content...), own.Content...)
		return &out
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(own.Content); i += 2 {
		values[own.Content[i].Value] = own.Content[i+1]
	}
	for i := 0; i+1 < len(global.Content); i += 2 {
		key := global.Content[i]
		out.Content = append(out.Content, key, merge(global.Content[i+1], values[key.Value]))
		delete(values, key.Value)
	}
	for i := 0; i+1 < len(own.Content); i += 2 {
		if _, left := values[own.Content[i].Value]; left {
			out.Content = append(out.Content, own.Content[i], own.Content[i+1])
		}
	}
	return &out
}

func isIntrinsic(n *yaml.Node) bool {
	_, _, ok := intrinsic(n)
	return ok
}
