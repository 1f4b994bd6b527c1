package calculator_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/shared/tool/calculator"
)

// oracle makes random expressions together with their exact values.
type oracle struct{ *rand.Rand }

// expression returns a random expression of some depth. The value is nil if the expression has none, or a value too
// large for a test.
func (o oracle) expression(depth int) (string, *big.Rat) {
	if depth == 0 {
		return o.number()
	}
	left, x := o.expression(depth - 1)
	right, y := o.expression(o.IntN(depth))
	operator := "+-*/^"[o.IntN(5)]
	if operator == '^' {
		n := o.IntN(9) - 3
		right, y = fmt.Sprint(n), big.NewRat(int64(n), 1)
	}
	written := fmt.Sprintf("(%s)%c(%s)", left, operator, right)
	if o.IntN(4) == 0 { // nearly equal numbers, whose difference has few of their digits
		written, operator = fmt.Sprintf("(%s)-(%[1]s+%s)", left, right), '~'
	}
	if x == nil || y == nil {
		return written, nil
	}
	return written, value(operator, x, y)
}

func value(operator byte, x, y *big.Rat) *big.Rat {
	z := new(big.Rat)
	switch operator {
	case '+':
		return z.Add(x, y)
	case '-':
		return z.Sub(x, y)
	case '*':
		return z.Mul(x, y)
	case '~':
		return z.Sub(x, z.Add(x, y))
	case '/':
		if y.Sign() == 0 {
			return nil
		}
		return z.Quo(x, y)
	}
	n := y.Num().Int64()
	if x.Sign() == 0 && n <= 0 || x.Num().BitLen()+x.Denom().BitLen() > 3000 {
		return nil
	}
	z.SetInt64(1)
	for range max(n, -n) {
		z.Mul(z, x)
	}
	if n < 0 {
		z.Inv(z)
	}
	return z
}

func (o oracle) number() (string, *big.Rat) {
	text := fmt.Sprint(o.IntN(1000))
	switch o.IntN(4) {
	case 0:
		text += fmt.Sprintf(".%03d", o.IntN(1000))
	case 1:
		text = "1" + strings.Repeat("0", o.IntN(60))
	case 2:
		text = "0." + strings.Repeat("0", o.IntN(60)) + "1"
	}
	value, _ := new(big.Rat).SetString(text)
	return text, value
}

// right reports whether a result is the value, exactly or rounded at its 34th digit.
func right(result string, value *big.Rat) bool {
	short, rounded := strings.CutPrefix(result, "≈ ")
	short = strings.TrimSuffix(short, " (rounded to 34 digits)")
	got, ok := new(big.Rat).SetString(short)
	if !ok || !rounded {
		return ok && got.Cmp(value) == 0
	}
	_, exponent, _ := strings.Cut(new(big.Float).SetPrec(400).SetRat(got).Text('e', 40), "e")
	n, err := strconv.Atoi(exponent)
	half, ok := new(big.Rat).SetString(fmt.Sprintf("0.5e%d", n-33))
	off := new(big.Rat).Sub(got, value)
	return err == nil && ok && off.Abs(off).Cmp(half) <= 0
}

// No result is wrong. The calculator refuses an expression that it cannot compute exactly.
func TestEvaluate_Random(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	o := oracle{rand.New(rand.NewPCG(seed, 0))}
	exact, rounded, refused := 0, 0, 0
	for range 3000 {
		written, want := o.expression(o.IntN(5))
		got, err := calculator.Evaluate(written)
		switch {
		case err != nil:
			refused++
			if want != nil && want.Num().BitLen() < 3000 && want.Denom().BitLen() < 3000 &&
				strings.Contains(err.Error(), "exactly") {
				t.Errorf("SEED=%d: %s is refused: %v", seed, written, err)
			}
		case want == nil:
		case !right(got, want):
			t.Errorf("SEED=%d: %s = %s, which is wrong", seed, written, got)
		case strings.HasPrefix(got, "≈"):
			rounded++
		default:
			exact++
		}
	}
	if exact == 0 || rounded == 0 || refused == 0 {
		t.Errorf("SEED=%d: %d exact, %d rounded, %d refused: the test looks at less than it should", seed, exact,
			rounded, refused)
	}
	t.Logf("SEED=%d: %d exact, %d rounded, %d refused", seed, exact, rounded, refused)
}

// Every expression of the maximum length is evaluated quickly.
func TestEvaluate_Duration(t *testing.T) {
	for _, c := range []string{
		strings.Repeat("(1/7)^1000+(1/11)^999+(1/13)^998+", 14) + "1",
		strings.Repeat("1.123456789^1000*0.890123^1000*", 16) + "1",
		strings.Repeat("(", 40) + "1.7" + strings.Repeat("^3)", 40),
		strings.Repeat("1.99^-1000/", 40) + "1",
		"(2^1000/3^600)^" + strings.Repeat("9", 3) + strings.Repeat("-1/3^999+1/7^999", 20),
	} {
		start := time.Now()
		_, err := calculator.Evaluate(c)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%.60s…: %v, %v", c, took, err)
		} else {
			t.Logf("%.60s…: %v, %v", c, took, err)
		}
	}
}
