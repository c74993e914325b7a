package objects

import "container/list"

// queues order objects for eviction by S3-FIFO, weighed by bytes.
type queues struct {
	limit       int64
	small, main fifo
	ghosts      list.List // URLs that left the small queue, oldest at the front
	ghost       map[string]*list.Element
}

type fifo struct {
	list  list.List
	bytes int64
}

// smallShare is the part of the limit that objects share which were not asked for again.
const smallShare = 10

const (
	minGhosts = 1024
	maxUses   = 3
)

func (q *queues) used() int64 { return q.small.bytes + q.main.bytes }

// add puts a new object in its queue.
func (q *queues) add(o *Object) {
	to := &q.small
	// It was evicted too early: this time it goes to the main queue.
	if e, ok := q.ghost[o.URL]; ok {
		q.forget(e)
		to = &q.main
	}
	q.push(to, o)
}

func (q *queues) push(to *fifo, o *Object) {
	o.queue, o.place = to, to.list.PushBack(o)
	to.bytes += o.cost()
}

func (q *queues) remove(o *Object) {
	if o.queue == nil {
		return
	}
	o.queue.list.Remove(o.place)
	o.queue.bytes -= o.cost()
	o.queue, o.place = nil, nil
}

// victim takes out the object that has to leave next, nil when there is none.
func (q *queues) victim() *Object {
	for {
		from := &q.main
		// New objects leave first: most of them are asked for once.
		if q.main.list.Len() == 0 || q.small.bytes > q.limit/smallShare {
			from = &q.small
		}
		front := from.list.Front()
		if front == nil {
			return nil
		}
		o := front.Value.(*Object)
		q.remove(o)
		uses := o.uses.Load()
		switch {
		case from == &q.small && uses > 0:
			o.uses.Store(0)
			q.push(&q.main, o)
		case from == &q.main && uses > 0:
			o.uses.Store(uses - 1)
			q.push(&q.main, o)
		case from == &q.small:
			q.remember(o.URL)
			return o
		default:
			return o
		}
	}
}

func (q *queues) remember(url string) {
	if e, ok := q.ghost[url]; ok {
		q.forget(e)
	}
	q.ghost[url] = q.ghosts.PushBack(url)
	// As many ghosts as the main queue has objects; URLs are all that they cost.
	for q.ghosts.Len() > max(minGhosts, q.main.list.Len()) {
		q.forget(q.ghosts.Front())
	}
}

func (q *queues) forget(e *list.Element) {
	delete(q.ghost, e.Value.(string))
	q.ghosts.Remove(e)
}
