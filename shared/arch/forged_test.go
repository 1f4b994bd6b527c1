package arch_test

import (
	"bytes"
	"database/sql"
	"encoding"
	"encoding/asn1"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
)

// forgeries returns code that compiles and tries to turn the given user into another one. It may fail or panic.
func forgeries() map[string]func(u *chat.User) error {
	all := decoded()
	for name, f := range reflected() {
		all[name] = f
	}
	return all
}

// decoded returns forgeries that fill a user from text or bytes.
func decoded() map[string]func(u *chat.User) error {
	type shape struct {
		Key  string
		User string
	}
	bob := shape{"bob", "bob"}
	all := map[string]func(u *chat.User) error{
		"nothing":  func(u *chat.User) error { return nil },
		"new":      func(u *chat.User) error { *u = *new(chat.User); return nil },
		"the fmt":  func(u *chat.User) error { _, err := fmt.Sscan("bob", u); return err },
		"a format": func(u *chat.User) error { _, err := fmt.Sscanf("bob", "%s", u); return err },
		"the asn1": func(u *chat.User) error {
			b, _ := asn1.Marshal(bob)
			_,
				err := asn1.Unmarshal(b, u)
			return err
		},
		"the binary": func(u *chat.User) error { return binary.Read(strings.NewReader("bob"), binary.BigEndian, u) },
		"a flag": func(u *chat.User) error {
			s := flag.NewFlagSet("", flag.ContinueOnError)
			s.TextVar(any(u).(encoding.TextUnmarshaler), "user", nil, "")
			return s.Parse([]string{"-user", "bob"})
		},
		"a row of SQL": func(u *chat.User) error { return any(u).(sql.Scanner).Scan("bob") },
		"gob": func(u *chat.User) error {
			var b bytes.Buffer
			return errors.Join(gob.NewEncoder(&b).Encode(bob), gob.NewDecoder(&b).Decode(u))
		},
		"an item": func(u *chat.User) error {
			name := &types.AttributeValueMemberS{Value: "bob"}
			return attributevalue.UnmarshalMap(map[string]types.AttributeValue{"key": name, "Key": name, "User": name},
				u)
		},
		"an attribute": func(u *chat.User) error {
			return attributevalue.Unmarshal(&types.AttributeValueMemberS{Value: "bob"}, u)
		},
	}
	for _, text := range []string{`{"key":"bob"}`, `{"Key":"bob"}`, `"bob"`, `["bob"]`, `{"User":{"key":"bob"}}`,
		`null`} {
		all["JSON "+text] = func(u *chat.User) error { return fill(json.Unmarshal, text, u) }
		all["JSON around "+text] = func(u *chat.User) error {
			var in struct{ chat.User }
			err := fill(json.Unmarshal, `{"User":`+text+`,"key":"bob"}`, &in)
			*u = in.User
			return err
		}
	}
	for _, text := range []string{`<User>bob</User>`, `<User><key>bob</key></User>`, `<User key="bob"/>`} {
		all["XML "+text] = func(u *chat.User) error { return fill(xml.Unmarshal, text, u) }
	}
	return all
}

// fill hides from staticcheck that a user has no field to fill.
func fill(decode func([]byte, any) error, text string, into any) error {
	return decode([]byte(text), into)
}

// reflected returns forgeries that turn Go values into a user.
func reflected() map[string]func(u *chat.User) error {
	type own struct{ key string }
	typ := reflect.TypeFor[chat.User]()
	field := func(u *chat.User) reflect.Value { return reflect.ValueOf(u).Elem().Field(0) }
	return map[string]func(u *chat.User) error{
		"an assertion of a string": func(u *chat.User) error { *u = any("bob").(chat.User); return nil },
		"an assertion of its shape": func(u *chat.User) error {
			*u = any(struct{ key string }{"bob"}).(chat.User)
			return nil
		},
		"its own name elsewhere": func(u *chat.User) error { *u = any(own{"bob"}).(chat.User); return nil },
		"reflect.New": func(u *chat.User) error {
			*u = reflect.New(typ).Elem().Interface().(chat.User)
			return nil
		},
		"reflect.Zero": func(u *chat.User) error {
			*u = reflect.Zero(typ).Interface().(chat.User)
			return nil
		},
		"its field set": func(u *chat.User) error { field(u).SetString("bob"); return nil },
		"its field by name": func(u *chat.User) error {
			reflect.ValueOf(u).Elem().FieldByName("key").Set(reflect.ValueOf("bob"))
			return nil
		},
		"its field's address": func(u *chat.User) error { *field(u).Addr().Interface().(*string) = "bob"; return nil },
		"a conversion": func(u *chat.User) error {
			*u = reflect.ValueOf(own{"bob"}).Convert(typ).Interface().(chat.User)
			return nil
		},
		"a type of its shape": func(u *chat.User) error {
			same := reflect.StructOf([]reflect.StructField{{Name: "key", PkgPath: typ.PkgPath(),
				Type: reflect.TypeFor[string]()}})
			reflect.ValueOf(u).Elem().Set(reflect.New(same).Elem())
			return nil
		},
		"its shape's pointer": func(u *chat.User) error {
			reflect.ValueOf(u).Elem().Set(reflect.ValueOf(&own{"bob"}).Convert(reflect.PointerTo(typ)).Elem())
			return nil
		},
	}
}

// TestUsers_ForgeriesAtRunTime runs every forgery that compiles: it must leave the zero User, and each function that
// takes a user must refuse the result.
func TestUsers_ForgeriesAtRunTime(t *testing.T) {
	t.Attr("row", "B1: a forged user that does compile is the zero User")
	for how, forge := range forgeries() {
		var u chat.User
		outcome := attempt(forge, &u)
		if u != (chat.User{}) || !u.IsZero() || u.Key() != "" {
			t.Errorf("%s turns the zero User into %v (%v)", how, u, outcome)
		}
		for name, take := range takers() {
			refusesNobody(t, name, take, u)
		}
		alice := chattest.User(t, "alice")
		if outcome := attempt(forge, &alice); alice != chattest.User(t, "alice") && !alice.IsZero() {
			t.Errorf("%s turns alice into %v (%v)", how, alice, outcome)
		}
	}
	if !t.Failed() {
		t.Attr("figure",
			fmt.Sprintf("%d ways to a user that compile: each leaves the zero User, which %d functions refuse",
				len(forgeries()), len(takers())))
	}
}

func attempt(forge func(*chat.User) error, u *chat.User) (outcome any) {
	defer func() {
		if panicked := recover(); panicked != nil {
			outcome = panicked
		}
	}()
	return forge(u)
}

// TestUsers_Methods pins the methods of a user: another method might be called by a decoder, or might change the
// user.
func TestUsers_Methods(t *testing.T) {
	var got []string
	for m := range reflect.TypeFor[*chat.User]().Methods() {
		got = append(got, m.Name)
	}
	want := []string{"Format", "Hash", "IsZero", "Key", "LogValue", "String"}
	if !slices.Equal(got, want) {
		t.Errorf("a user has the methods %v, want %v: is the new one a way to make or change a user?", got, want)
	}
	for m := range reflect.TypeFor[chat.User]().Methods() {
		want = slices.DeleteFunc(want, func(name string) bool { return name == m.Name })
	}
	if len(want) > 0 {
		t.Errorf("%v take a pointer, through which they may change the user", want)
	}
}
