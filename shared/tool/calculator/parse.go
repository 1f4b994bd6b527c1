package calculator

import (
	"fmt"
	"math/big"
	"strings"
)

// Bounds of an expression, so that every evaluation is fast.
const (
	maxLength = 500 // characters
	maxDepth  = 50  // nested parentheses, signs and powers
)

// Evaluate evaluates an expression exactly. A result with a finite decimal form of up to 1,000 digits is written in
// full. Any other result has the first 34 significant digits after "≈ ", and says that it is rounded. An expression
// that cannot be computed exactly is refused. The error is written for the author of the expression. It names the
// position, counted in characters from 1.
func Evaluate(expression string) (string, error) {
	p := &parser{text: []rune(expression)}
	if len(p.text) > maxLength {
		return "", fmt.Errorf("the expression has %d characters, the limit is %d", len(p.text), maxLength)
	}
	if strings.TrimSpace(expression) == "" {
		return "", fmt.Errorf("the expression is empty: write something like 2 * (3 + 4)")
	}
	value, err := p.sum()
	if err != nil {
		return "", err
	}
	if p.peek() != end {
		return "", p.unexpected("expected an operator or the end")
	}
	return text(value), nil
}

// end is the value of peek after the last character.
const end rune = -1

// parser is a recursive descent over the grammar
//
//	sum   = product { ("+" | "-") product }
//	product = signed { ("*" | "/") signed }
//	signed  = "-" signed | power
//	power   = primary [ "^" signed ]
//	primary = number | "(" sum ")"
//
// so that -2^2 is -4, 2^-1 is 0.5 and 2^3^2 is 2^9.
type parser struct {
	text  []rune
	at    int
	depth int
}

// peek skips blanks and returns the next character. It returns the plain form of a typographic sign.
func (p *parser) peek() rune {
	for p.at < len(p.text) && strings.ContainsRune(" \t\r\n\u00a0", p.text[p.at]) {
		p.at++
	}
	if p.at == len(p.text) {
		return end
	}
	switch c := p.text[p.at]; c {
	case '×', '·', '⋅':
		return '*'
	case '÷':
		return '/'
	case '−', '–':
		return '-'
	default:
		return c
	}
}

// enter enters one level of nesting. The returned function leaves it.
func (p *parser) enter() (func(), error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("the expression is nested too deeply at position %d, the limit is %d levels", p.at+1,
			maxDepth)
	}
	return func() { p.depth-- }, nil
}

func (p *parser) sum() (*big.Rat, error) {
	return p.chain(p.product, '+', '-')
}

func (p *parser) product() (*big.Rat, error) {
	return p.chain(p.signed, '*', '/')
}

// chain parses operands joined by either of two operators, from left to right.
func (p *parser) chain(operand func() (*big.Rat, error), one, other rune) (*big.Rat, error) {
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for {
		operator := p.peek()
		if operator != one && operator != other {
			return left, nil
		}
		position := p.at + 1
		p.at++
		right, err := operand()
		if err != nil {
			return nil, err
		}
		if left, err = apply(operator, left, right); err != nil {
			return nil, fmt.Errorf("%w at position %d", err, position)
		}
	}
}

func (p *parser) signed() (*big.Rat, error) {
	leave, err := p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if p.peek() != '-' {
		return p.power()
	}
	p.at++
	value, err := p.signed()
	if err != nil {
		return nil, err
	}
	return new(big.Rat).Neg(value), nil
}

func (p *parser) power() (*big.Rat, error) {
	base, err := p.primary()
	if err != nil || p.peek() != '^' {
		return base, err
	}
	position := p.at + 1
	p.at++
	exponent, err := p.signed()
	if err != nil {
		return nil, err
	}
	value, err := apply('^', base, exponent)
	if err != nil {
		return nil, fmt.Errorf("%w at position %d", err, position)
	}
	return value, nil
}

func (p *parser) primary() (*big.Rat, error) {
	c := p.peek()
	switch {
	case '0' <= c && c <= '9', c == '.':
		return p.number()
	case c != '(':
		return nil, p.unexpected("expected a number or (")
	}
	opened := p.at + 1
	p.at++
	value, err := p.sum()
	if err != nil {
		return nil, err
	}
	if next := p.peek(); next == end {
		return nil, fmt.Errorf("the ( at position %d is not closed", opened)
	} else if next != ')' {
		return nil, p.unexpected("expected an operator or )")
	}
	p.at++
	return value, nil
}

func (p *parser) number() (*big.Rat, error) {
	start, digits, points := p.at, 0, 0
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		if c == '.' && points == 0 {
			points++
		} else if '0' <= c && c <= '9' {
			digits++
		} else {
			break
		}
	}
	if digits == 0 {
		p.at = start
		return nil, p.unexpected("expected a digit beside the point")
	}
	value, ok := new(big.Rat).SetString(string(p.text[start:p.at]))
	if !ok {
		return nil, fmt.Errorf("the number at position %d cannot be read", start+1)
	}
	return value, nil
}

// unexpected returns an error that names the position of the next character.
func (p *parser) unexpected(want string) error {
	c := p.peek()
	if c == end {
		return fmt.Errorf("the expression ends too early: %s", want)
	}
	hint := ""
	switch c {
	case '%':
		hint = "; percent is not supported, write /100"
	case ',':
		hint = "; write 1234.5 for numbers, without thousands separators"
	}
	return fmt.Errorf("unexpected %q at position %d: %s%s", p.text[p.at], p.at+1, want, hint)
}
