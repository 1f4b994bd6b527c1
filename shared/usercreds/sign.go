package usercreds

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"carrel/shared/chat"
)

// maxSigned bounds the body of a signed request, which is read into memory.
const maxSigned = 8 << 20

// Sign signs a request for one AWS service and Region with the credentials of the user's role. An empty Region is the
// deployment's. The service sees the account, the role and the session name, which holds the user's hash. The role may
// invoke only what the template's parameter UserMayInvoke names.
func (t *Tables) Sign(ctx context.Context, u chat.User, service, region string, r *http.Request) error {
	if u.IsZero() {
		return fmt.Errorf("sign a request as a user: %w", chat.ErrNoUser)
	}
	var text []byte
	if r.Body != nil {
		var err error
		text, err = io.ReadAll(io.LimitReader(r.Body, maxSigned+1))
		if closed := r.Body.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("read the body of a request: %w", err)
		}
		if len(text) > maxSigned {
			return fmt.Errorf("sign a request: its body has more than %d bytes", maxSigned)
		}
		r.Body = io.NopCloser(bytes.NewReader(text))
		r.ContentLength = int64(len(text))
	}
	if region == "" {
		region = t.aws.Region
	}
	c, err := t.open(u).credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(ctx, c, r, hash, service, region, time.Now()); err != nil {
		return fmt.Errorf("sign a request: %w", err)
	}
	return nil
}
