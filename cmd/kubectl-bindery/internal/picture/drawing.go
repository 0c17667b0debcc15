package picture

// drawing is a picture with a place for everything, in the unit of whoever draws it: a pixel, or a cell of a terminal.
type drawing struct {
	width, height int
	labels        []label // headings, which are in no box
	boxes         []box
	wires         []wire
}

type rect struct{ x, y, w, h int }

func (r rect) right() int  { return r.x + r.w }
func (r rect) bottom() int { return r.y + r.h }

type point struct{ x, y int }

// label is a text at a place: where it begins, and the middle of its height.
type label struct {
	at    point
	style style
	level Level
	text  string
	// full is the text before it was shortened; "" = it was not.
	full string
	// room is how wide it may be.
	room int
}

// shape of a box.
type shape string

const (
	shapeApp         shape = "app"
	shapeProvisioned shape = "provisioned"
	shapeThirdParty  shape = "third-party"
	shapeAbsent      shape = "absent" // of an app, or of a service
)

type box struct {
	rect

	shape  shape
	level  Level
	unused bool
	labels []label
	// rows are where attachments begin: a line is drawn above each.
	rows []int
	// title is what is said of the box where there is room for a sentence.
	title string
}

// wire is a link, or a move of data.
type wire struct {
	points []point // corners; the first is where it begins
	role   Role
	data   bool // it is a move
	level  Level
	title  string
}

// unit is what a drawing is measured in.
type unit struct {
	// grid is the distance of wires that end at one box. A wire begins on a line of the grid, and ends on one too where it is
	// straight. Else it ends between two lines of it, the first at bent below where a straight one ends: so no two wires can lie
	// on each other.
	grid, bent int
	// width of a text.
	width func(style, string) int
	// pad is from the side of a box to its text; first from its top to the middle of its first line, step from there to the
	// next, and last from the middle of the last to the bottom. rowGap is from the line above an attachment to the attachment's
	// own, and rowPitch from that to the one of the next.
	pad, first, step, last, rowGap, rowPitch int
	// gap is between boxes, indent what a service of a service stands behind, margin around all.
	gap, indent, margin int
	// channel is the least width between the columns, and track the distance of wires in it; tight, of many.
	channel, track, tight int
	// appMin to serviceMax are the widths of boxes.
	appMin, appMax, serviceMin, serviceMax int
	// heading is the height of what stands above a namespace, and section of what stands above the services that are set aside.
	heading, section int
	// icon is what the name in a box leaves free on its right, for the mark of what has failed or is of somebody else.
	icon int
}

// onGrid is the next line of the grid.
func (u *unit) onGrid(y int) int { return (y + u.grid - 1) / u.grid * u.grid }
