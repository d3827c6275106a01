@triton.jit
def _compose(a, w, later_a, later_w):
    """Two steps S -> a S + w as one."""
    return a * later_a, later_a * w + later_w


@triton.jit
def _compose_complex(a, a_im, w, w_im, later_a, later_a_im, later_w, later_w_im):
    return (
        a * later_a - a_im * later_a_im,
        a * later_a_im + a_im * later_a,
        later_a * w - later_a_im * w_im + later_w,
        later_a * w_im + later_a_im * w + later_w_im,
    )
