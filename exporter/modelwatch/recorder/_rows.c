/* Dicts that are all alike, taken apart in one pass while each lies in the processor's cache. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

enum { NUMBER, OBJECT };

/* A float, or a whole number where floats are expected; false for all else, with no error set. */
static inline bool
as_double(PyObject *value, PyTypeObject *float64, double *out)
{
    if (PyFloat_CheckExact(value) || Py_TYPE(value) == float64) {
        *out = PyFloat_AS_DOUBLE(value);
        return true;
    }
    if (PyLong_CheckExact(value)) {
        *out = PyLong_AsDouble(value);
        if (*out == -1.0 && PyErr_Occurred()) {
            PyErr_Clear(); /* too large */
            return false;
        }
        return true;
    }
    return false;
}

PyDoc_STRVAR(read_doc,
"read(rows, names, numbers, matrix, float64, /)\n--\n\n"
"Take dicts apart.\n\n"
"rows: tuple of dicts; names: tuple of str; numbers: bytes, 1 where floats are expected; matrix: writable doubles,\n"
"len(rows) by the number of ones. Returns a list, True where a column is in the matrix, else the list of its values;\n"
"None if not all rows are dicts of just these names.");

static PyObject *
read_rows(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)self;
    if (nargs != 5 || !PyTuple_CheckExact(args[0]) || !PyTuple_CheckExact(args[1]) || !PyBytes_CheckExact(args[2])
        || PyBytes_GET_SIZE(args[2]) != PyTuple_GET_SIZE(args[1]) || !PyType_Check(args[4])) {
        PyErr_SetString(PyExc_TypeError, "read takes a tuple, a tuple, bytes, a buffer and a type");
        return NULL;
    }
    PyObject *rows = args[0], *names = args[1], *result = NULL;
    const Py_ssize_t n = PyTuple_GET_SIZE(rows), k = PyTuple_GET_SIZE(names);
    char *kind = PyMem_Malloc(k ? k : 1);
    if (kind == NULL)
        return PyErr_NoMemory();
    Py_ssize_t floats = 0;
    for (Py_ssize_t j = 0; j < k; j++) {
        kind[j] = PyBytes_AS_STRING(args[2])[j] ? NUMBER : OBJECT;
        floats += kind[j] == NUMBER;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(args[3], &view, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) < 0) {
        PyMem_Free(kind);
        return NULL;
    }
    if (view.len != n * floats * (Py_ssize_t)sizeof(double)) {
        PyErr_SetString(PyExc_ValueError, "the matrix has another size");
        goto done;
    }
    result = PyList_New(k);
    if (result == NULL)
        goto done;
    for (Py_ssize_t j = 0; j < k; j++) {
        PyObject *column = kind[j] == NUMBER ? Py_NewRef(Py_True) : PyList_New(n);
        if (column == NULL)
            goto fail;
        PyList_SET_ITEM(result, j, column);
    }
    double *out = view.buf;
    bool again = false;
    for (Py_ssize_t i = 0; i < n; i++, out += floats) {
        PyObject *row = PyTuple_GET_ITEM(rows, i);
        if (!PyDict_CheckExact(row) || PyDict_GET_SIZE(row) != k)
            goto unlike;
        double *cell = out;
        Py_ssize_t at = 0;
        bool in_order = true;
        for (Py_ssize_t j = 0; j < k; j++) {
            /* Most often the keys are the very names, in their order: then nothing need be looked up. */
            PyObject *key, *value;
            if (!in_order || !PyDict_Next(row, &at, &key, &value) || key != PyTuple_GET_ITEM(names, j)) {
                in_order = false;
                value = PyDict_GetItemWithError(row, PyTuple_GET_ITEM(names, j));
                if (value == NULL)
                    goto unlike;
            }
            if (kind[j] == OBJECT) {
                PyList_SET_ITEM(PyList_GET_ITEM(result, j), i, Py_NewRef(value));
            }
            else if (!as_double(value, (PyTypeObject *)args[4], cell++)) {
                cell[-1] = 0.0;
                if (PyList_GET_ITEM(result, j) == Py_True) {
                    PyList_SetItem(result, j, Py_NewRef(Py_False));
                    again = true;
                }
            }
        }
    }
    for (Py_ssize_t j = 0; again && j < k; j++) {
        if (PyList_GET_ITEM(result, j) != Py_False)
            continue;
        PyObject *column = PyList_New(n);
        if (column == NULL)
            goto fail;
        PyList_SetItem(result, j, column);
        for (Py_ssize_t i = 0; i < n; i++) {
            PyObject *value = PyDict_GetItemWithError(PyTuple_GET_ITEM(rows, i), PyTuple_GET_ITEM(names, j));
            if (value == NULL)
                goto unlike;
            PyList_SET_ITEM(column, i, Py_NewRef(value));
        }
    }
    goto done;

unlike: /* or a key of theirs raised while it was compared */
    Py_CLEAR(result);
    if (!PyErr_Occurred())
        result = Py_NewRef(Py_None);
    goto done;
fail:
    Py_CLEAR(result);
done:
    PyBuffer_Release(&view);
    PyMem_Free(kind);
    return result;
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)(void (*)(void))read_rows, METH_FASTCALL, read_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_rows", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC
PyInit__rows(void)
{
    return PyModuleDef_Init(&module);
}
