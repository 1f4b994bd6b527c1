package calculator

import (
	"fmt"

	"github.com/cockroachdb/apd/v3"
)

const (
	exactDigits   = 1000 // up to which results are kept whole
	roundedDigits = 34   // of a result that is not exact, as in IEEE 754 decimal128
	maxExponent   = 2000 // magnitude: results are below 10^2000 and zero or above 10^-2000
	maxPower      = 1000
)

// refusal is why something is not calculated, written for who wrote the expression.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errDivision = refusal("division by zero")
	errTooLarge = refusal("the result is too large or too small to be calculated")
	errPower    = refusal("an exponent must be a whole number from -1000 to 1000")
	errZeroZero = refusal("0^0 is not defined")
)

// arithmetic computes with far more digits than it shows, and remembers whether anything was rounded.
type arithmetic struct {
	context apd.Context
	rounded bool
}

func newArithmetic() *arithmetic {
	return &arithmetic{context: apd.Context{
		Precision: exactDigits, MaxExponent: maxExponent, MinExponent: -maxExponent,
		Traps: apd.DefaultTraps, Rounding: apd.RoundHalfEven,
	}}
}

func (a *arithmetic) apply(operator rune, x, y *apd.Decimal) (*apd.Decimal, error) {
	z := new(apd.Decimal)
	var condition apd.Condition
	var err error
	switch operator {
	case '+':
		condition, err = a.context.Add(z, x, y)
	case '-':
		condition, err = a.context.Sub(z, x, y)
	case '*':
		condition, err = a.context.Mul(z, x, y)
	case '/':
		if y.IsZero() {
			return nil, errDivision
		}
		condition, err = a.context.Quo(z, x, y)
	case '^':
		return a.power(x, y)
	default:
		return nil, fmt.Errorf("unknown operator %q", operator)
	}
	if err != nil {
		return nil, errTooLarge
	}
	a.rounded = a.rounded || condition.Inexact()
	return z, nil
}

// power multiplies by squaring: apd's own Pow rounds results that have a finite form.
func (a *arithmetic) power(x, y *apd.Decimal) (*apd.Decimal, error) {
	whole := new(apd.Decimal)
	whole.Reduce(y)
	n, err := whole.Int64()
	if err != nil || n < -maxPower || n > maxPower {
		return nil, errPower
	}
	if x.IsZero() && n == 0 {
		return nil, errZeroZero
	}
	if n < 0 {
		positive, err := a.power(x, apd.New(-n, 0))
		if err != nil {
			return nil, err
		}
		return a.apply('/', apd.New(1, 0), positive)
	}
	result, square := apd.New(1, 0), x
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			if result, err = a.apply('*', result, square); err != nil {
				return nil, err
			}
		}
		if n > 1 {
			if square, err = a.apply('*', square, square); err != nil {
				return nil, err
			}
		}
	}
	return result, nil
}

// text writes a result: all digits if it is exact, else 34 of them and that it is rounded.
func (a *arithmetic) text(value *apd.Decimal) (string, error) {
	reduced := new(apd.Decimal)
	if !a.rounded {
		reduced.Reduce(value)
		if reduced.IsZero() {
			return "0", nil // never -0
		}
		return reduced.Text('f'), nil
	}
	if _, err := a.context.WithPrecision(roundedDigits).Round(reduced, value); err != nil {
		return "", errTooLarge
	}
	reduced.Reduce(reduced)
	format := byte('f')
	if magnitude := reduced.NumDigits() + int64(reduced.Exponent); magnitude > roundedDigits || magnitude < -roundedDigits {
		format = 'E'
	}
	return fmt.Sprintf("≈ %s (rounded to %d digits)", reduced.Text(format), roundedDigits), nil
}
