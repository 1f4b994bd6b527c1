package agui

// Part is one content part of a message or of a tool's output. Until Carrel keeps attachments, only a text part has
// content. Of any other part only the media type and the size are known.
type Part struct {
	Type     PartType
	Text     string // of a text part
	MimeType string // of any other part
	Bytes    int    // the size of any other part
}

// PartType is the type of a content part.
type PartType string

// The types of content parts.
const (
	PartText PartType = "text"
	PartFile PartType = "file" // an image, audio or any other data
)
