"""Small solves, factors, determinants and products against NumPy, and the helpers that keep dtypes honest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax import linalg, numeric
from thzjax.errors import ConfigError

solve_hermitian = jax.jit(linalg.solve_hermitian)
whiten = jax.jit(linalg.whiten)
log_det_one_plus = jax.jit(linalg.log_det_one_plus)
matmul = jax.jit(numeric.matmul)

EPS32 = float(np.finfo(np.float32).eps)
LIMIT = numeric.UNROLL_LIMIT
every_size = pytest.mark.parametrize("n", range(1, 11))  # 8 is the last that is unrolled


def normal(seed, *shape, real=False):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x if real else (x + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def single(x):
    return np.asarray(x).astype(np.complex64 if np.iscomplexobj(x) else np.float32)


def double(x):
    return np.asarray(x).astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def positive(seed, n, cond, batch=(), real=False):
    """Hermitian with eigenvalues from 1 to 1/cond in random directions."""
    vectors = np.linalg.qr(normal(seed, *batch, n, n, real=real))[0]
    a = (vectors * np.geomspace(1.0, 1.0 / cond, n)) @ adjoint(vectors)
    return (a + adjoint(a)) / 2


def relative_gap(actual, expected):
    """Norm of the difference over that of the expected matrix, the largest of a batch."""
    actual, expected = double(actual), double(expected)
    assert actual.shape == expected.shape
    gaps = np.linalg.norm(actual - expected, axis=(-2, -1)) / np.linalg.norm(expected, axis=(-2, -1))
    assert np.all(np.isfinite(gaps))
    return np.max(gaps)


# --- solve_hermitian ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "real"), [*((n, False) for n in range(1, 11)), (2, True), (5, True), (9, True)])
def test_solve_is_numpys(x64, n, real):
    a, b = positive(n, n, 50.0, (5,), real), normal(n + 20, 5, n, 3, real=real)
    x = solve_hermitian(jnp.asarray(a), jnp.asarray(b))
    assert x.dtype == (jnp.float64 if real else jnp.complex128)
    assert relative_gap(x, np.linalg.solve(a, b)) < 1e-12  # 50 eps, ten times that for its rounding steps


@pytest.mark.parametrize(("n", "real"), [*((n, False) for n in range(1, 11)), (4, True), (8, True), (9, True)])
def test_solve_of_ill_conditioned_float32(n, real):
    a, b = (single(x) for x in (positive(n, n, 1e4, (32,), real), normal(n + 20, 32, n, 3, real=real)))
    x = solve_hermitian(jnp.asarray(a), jnp.asarray(b))
    assert x.dtype == (jnp.float32 if real else jnp.complex64)
    expected, condition = np.linalg.solve(double(a), double(b)), np.max(np.linalg.cond(double(a)))
    # Elimination of a positive definite matrix is exact for one within n eps of it: n eps cond, and the same again
    # for the halves' own solves and for either substitution.
    assert relative_gap(x, expected) < 4 * n * EPS32 * condition


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
@pytest.mark.parametrize(("left", "right"), [((), (3,)), ((3,), ()), ((2, 1), (3,))])
def test_solve_and_whiten_broadcast_their_batches(n, left, right):
    a, b = single(positive(1, n, 5.0, left)), single(normal(2, *right, n, 2))
    arguments = jnp.asarray(a), jnp.asarray(b)
    batch = np.broadcast_shapes(left, right)
    wide = np.broadcast_to(double(a), (*batch, n, n)), np.broadcast_to(double(b), (*batch, n, 2))
    assert relative_gap(solve_hermitian(*arguments), np.linalg.solve(*wide)) < 4 * n * EPS32 * 5
    assert relative_gap(whiten(*arguments), np.linalg.solve(np.linalg.cholesky(wide[0]), wide[1])) < 4 * n * EPS32 * 5


@pytest.mark.parametrize("n", range(1, 11))
def test_solve_of_singular_matrices_is_finite(n):
    thin = [normal(seed, n, rank) for seed in range(15) for rank in (1, max(n // 2, 1))]
    cases = [np.zeros((n, n), complex), np.ones((n, n), complex), *(v @ adjoint(v) for v in thin)]
    b = np.broadcast_to(normal(9, n, 3), (len(cases), n, 3))
    x = np.asarray(solve_hermitian(jnp.asarray(single(np.stack(cases))), jnp.asarray(single(b))))
    assert np.all(np.isfinite(x))


def test_a_repeated_row_in_a_gram_is_finite_and_leaves_the_others_alone():
    # One pivot is lost: two users on one channel. What is solvable beside them is solved.
    h = normal(3, 4, 6)
    h[2] = h[1]
    gram = single(h @ adjoint(h))
    for last in (gram, single(np.diag([1.0, 2.0, 0.0, 4.0]).astype(complex))):
        x = np.asarray(solve_hermitian(jnp.asarray(last), jnp.asarray(last[:, :1])))
        assert np.all(np.isfinite(x))
    np.testing.assert_allclose(x, [[1], [0], [0], [0]], atol=4 * EPS32)


def real_sum(c, x):
    return jnp.sum(jnp.real(c) * jnp.real(x) + jnp.imag(c) * jnp.imag(x))


@pytest.mark.parametrize(("n", "real"), [(1, False), (2, False), (3, False), (4, True), (5, False), (9, False)])
def test_slopes_of_solve_are_those_of_differences(x64, n, real):
    a, b = positive(n, n, 10.0, (), real), normal(n + 20, n, 2, real=real)
    c, move_a, move_b = normal(5, n, 2, real=real), normal(6, n, n, real=real), normal(7, n, 2, real=real)
    move_a = move_a + adjoint(move_a)
    function = lambda a, b: real_sum(jnp.asarray(c), linalg.solve_hermitian(a, b))  # noqa: E731
    slopes = jax.jit(jax.grad(function, argnums=(0, 1)))(jnp.asarray(a), jnp.asarray(b))

    def value(t):
        return np.sum(np.real(np.conj(c) * np.linalg.solve(a + t * move_a, b + t * move_b)))

    step = 1e-6
    # JAX's gradient of a real function is the conjugate one: the slope along dz is Re(sum g dz).
    predicted = sum(np.sum(np.real(np.asarray(g) * m)) for g, m in zip(slopes, (move_a, move_b), strict=True))
    # The third derivative gives cond^3 step^2, rounding cond eps/step: some 1e-9 each, on slopes of 1 to 100.
    assert predicted == pytest.approx((value(step) - value(-step)) / (2 * step), rel=1e-7)


# --- whiten, log_det_one_plus -------------------------------------------------------------------------------


@every_size
def test_whiten_is_the_lower_factors_solve(x64, n):
    q, x = positive(n, n, 50.0, (4,)), normal(n + 20, 4, n, n)
    factor = np.linalg.cholesky(q)
    assert relative_gap(whiten(jnp.asarray(q), jnp.asarray(x)), np.linalg.solve(factor, x)) < 1e-12
    # What it is for: noise of that covariance is white afterwards.
    half = np.asarray(whiten(jnp.asarray(q), jnp.asarray(q)))
    white = np.asarray(whiten(jnp.asarray(q), jnp.asarray(adjoint(half))))
    np.testing.assert_allclose(white, np.broadcast_to(np.eye(n), (4, n, n)), atol=1e-12)


@pytest.mark.parametrize("n", [2, 5, 8, 9])
def test_whiten_of_ill_conditioned_float32(n):
    q, x = single(positive(n, n, 1e3, (32,))), single(normal(n + 20, 32, n, 3))
    white = whiten(jnp.asarray(q), jnp.asarray(x))
    assert white.dtype == jnp.complex64
    expected = np.linalg.solve(np.linalg.cholesky(double(q)), double(x))
    # The factor of a matrix within n eps of q, then one substitution.
    assert relative_gap(white, expected) < 2 * n * EPS32 * np.max(np.linalg.cond(double(q)))


@pytest.mark.parametrize("rank", ["full", "one"])
@every_size
def test_log_determinants_of_any_size_of_matrix(x64, n, rank):
    v = normal(n, 6, n, n if rank == "full" else 1)
    scale = np.array([1e-200, 1e-30, 1e-9, 1e-3, 1.0, 1e3])
    a = scale[:, None, None] * (v @ adjoint(v))
    expected = np.sum(np.log1p(scale[:, None] * np.linalg.svd(v, compute_uv=False) ** 2), axis=-1)
    actual = log_det_one_plus(jnp.asarray(a))
    assert actual.dtype == jnp.float64
    # Relative also at 1e-200. A thousand in rank one leaves n - 1 pivots of up to n 1e3 eps, 1e-11 together.
    np.testing.assert_allclose(actual, expected, rtol=1e-11)
    np.testing.assert_array_equal(log_det_one_plus(jnp.zeros((6, n, n), complex)), 0)


@every_size
def test_tiny_log_determinants_keep_their_digits_in_float32(n):
    scale = np.array([1e-30, 1e-12, 1e-6, 1e-2, 1.0])
    v = normal(n, 5, n, n)
    a = single(scale[:, None, None] * (v @ adjoint(v)))
    actual = log_det_one_plus(jnp.asarray(a))
    assert actual.dtype == jnp.float32
    assert np.all(np.asarray(actual) > 0)
    expected = np.sum(np.log1p(np.linalg.eigvalsh(double(a))), axis=-1)
    # n pivots, each off by n eps of the largest entry, which the sum exceeds.
    np.testing.assert_allclose(actual, expected, rtol=4 * n * EPS32)


# --- numeric ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (7,), (64, 15), (3, 5), (2, 4, 5), (0, 3)])
def test_standard_normals_are_those_of_jax(shape):
    key = jax.random.key(3)
    drawn = jax.jit(lambda key: numeric.standard_normal(key, shape))(key)
    np.testing.assert_array_equal(drawn, jax.random.normal(key, shape))
    each = jax.vmap(lambda key: numeric.standard_normal(key, shape))(jax.random.split(key, 3))
    np.testing.assert_array_equal(each, jax.vmap(lambda key: jax.random.normal(key, shape))(jax.random.split(key, 3)))


PRODUCTS = [
    ((1, 1), (1, 1)),
    ((5, LIMIT), (LIMIT, 4)),
    ((5, LIMIT + 1), (LIMIT + 1, 4)),
    ((LIMIT, 3), (3, LIMIT)),
    ((LIMIT, 3), (3, LIMIT + 1)),
    ((65, 2), (2, 1)),
    ((3, 4, 2), (2, 5)),
    ((4, 2), (3, 2, 5)),
    ((2, 1, 4, 2), (3, 2, 5)),
    ((3, 4, 16), (16, 5)),
    ((4, 16), (2, 3, 16, 5)),
    ((2, 0), (0, 3)),
    ((0, 4, 2), (2, 3)),
    ((2,), (2, 3)),
    ((4, 2), (2,)),
]


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(("left", "right"), PRODUCTS)
def test_products_are_numpys(left, right, real):
    a, b = single(normal(1, *left, real=real)), single(normal(2, *right, real=real))
    # Also where broadcasting over axes of different number has to be written out.
    with jax.numpy_rank_promotion("raise"):
        product = np.asarray(matmul(jnp.asarray(a), jnp.asarray(b)))
    expected = np.matmul(double(a), double(b))
    assert product.shape == expected.shape
    assert product.dtype == a.dtype
    # A rounding for each product and each sum, four and two of them where numbers are complex.
    allowed = (left[-1] + (2 if real else 4)) * EPS32 * np.matmul(np.abs(double(a)), np.abs(double(b)))
    assert np.all(np.abs(product - expected) <= allowed)


def test_products_keep_to_float64(x64):
    for length in (LIMIT, LIMIT + 1):
        a, b = normal(1, 3, 4, length), normal(2, length, 5)
        np.testing.assert_allclose(matmul(jnp.asarray(a), jnp.asarray(b)), a @ b, rtol=1e-12, atol=1e-14)


def test_long_products_ask_for_full_precision_themselves():
    # On the CPU every precision is the same; what is asked for shows in the program.
    with jax.default_matmul_precision("bfloat16"):
        program = str(jax.make_jaxpr(numeric.matmul)(jnp.ones((4, LIMIT + 1)), jnp.ones((LIMIT + 1, 4))))
    assert "dot_general" in program
    assert "HIGHEST" in program


def test_as_reals_takes_the_precision_of_the_arrays():
    x = jnp.ones(3, jnp.float32)
    for values in (numeric.as_reals(x, 2, 0.1), numeric.as_reals(1, 2.5), numeric.as_reals(7)):
        assert all(isinstance(v, jax.Array) and v.dtype == jnp.float32 for v in values)
    assert [v.shape for v in numeric.as_reals(x, 2.0)] == [(3,), ()]
    np.testing.assert_array_equal(numeric.as_reals(1, 2)[1], 2.0)
    np.testing.assert_array_equal(numeric.as_reals(jnp.arange(3))[0], [0.0, 1.0, 2.0])
    with jax.enable_x64(True):
        assert [v.dtype for v in numeric.as_reals(1, 0.5)] == [jnp.float64] * 2
        # A Python number does not widen an array; 0.1 is rounded once, to its precision.
        narrow = numeric.as_reals(jnp.ones(3, jnp.float32), 0.1)
        assert [v.dtype for v in narrow] == [jnp.float32] * 2
        assert float(narrow[1]) == float(np.float32(0.1))
        assert numeric.as_reals(jnp.ones(3), 0.1)[1] == 0.1


@pytest.mark.parametrize("shape", [(), (4,), (2, 4)])
@pytest.mark.parametrize("extra", [1, 2])
def test_a_row_follows_the_axes_of_its_like(shape, extra):
    like = jnp.ones(shape, jnp.float32)
    x = np.array([1.0, 2.0, 3.0])
    laid = numeric.row(x, like, extra)
    assert laid.dtype == jnp.float32
    assert laid.shape == (1,) * (len(shape) + extra - 1) + (3,)
    np.testing.assert_array_equal(jnp.ravel(laid), x)
    with jax.numpy_rank_promotion("raise"):
        assert (like.reshape(shape + (1,) * extra) * laid).shape == shape + (1,) * (extra - 1) + (3,)


def test_trailing_axes_go_behind_and_a_scalar_stays():
    x = jnp.arange(6.0).reshape(2, 3)
    assert numeric.trailing(x).shape == (2, 3, 1)
    assert numeric.trailing(x, 3).shape == (2, 3, 1, 1, 1)
    assert numeric.trailing(x, 0).shape == (2, 3)
    np.testing.assert_array_equal(numeric.trailing(x, 2)[..., 0, 0], x)
    assert numeric.trailing(jnp.float32(5.0), 2).shape == ()


def positive_only(x):
    return numeric.refuse_unless(x > 0, x, "x must be positive")


def test_what_is_not_allowed_is_an_error_here_and_nan_when_traced():
    good, bad = jnp.asarray([[1.0, 2.0], [3.0, 4.0]]), jnp.asarray([[1.0, 2.0], [-3.5, jnp.nan]])
    np.testing.assert_array_equal(positive_only(good), good)
    with pytest.raises(ConfigError, match=r"^x must be positive, not -3\.5$"):
        positive_only(bad)
    with pytest.raises(ConfigError, match=r"^x must be positive, not nan$"):
        positive_only(jnp.asarray(jnp.nan))
    for traced in (jax.jit(positive_only), jax.vmap(positive_only)):
        np.testing.assert_array_equal(traced(good), good)
        np.testing.assert_array_equal(traced(bad), [[1.0, 2.0], [np.nan, np.nan]])
    slopes = jax.jit(jax.grad(lambda x: jnp.nansum(positive_only(x) ** 2)))(bad)
    np.testing.assert_array_equal(slopes, [[2.0, 4.0], [0.0, 0.0]])


@pytest.mark.parametrize("real", [False, True])
def test_norms_and_their_slopes_at_zero_too(x64, real):
    x = normal(1, 4, 3, real=real)
    x[1] = 0.0
    x[2, :2] = 0.0
    norms = np.linalg.norm(x, axis=-1)
    np.testing.assert_allclose(numeric.norm_or_zero(jnp.asarray(x)), norms, rtol=1e-14)
    kept = numeric.norm_or_zero(jnp.asarray(x), keepdims=True)
    assert kept.shape == (4, 1)
    assert kept.dtype == jnp.float64
    np.testing.assert_allclose(kept[:, 0], norms, rtol=1e-14)
    slopes = jax.jit(jax.grad(lambda x: jnp.sum(numeric.norm_or_zero(x))))(jnp.asarray(x))
    expected = np.conj(x) / np.where(norms > 0, norms, 1.0)[:, None]
    np.testing.assert_allclose(slopes, expected, rtol=1e-13, atol=0)
    np.testing.assert_array_equal(slopes[1], 0)
