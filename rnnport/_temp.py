import numpy as np
import onnxruntime as ort
from rnnport.spec import Check
TOLERANCE={"cpu":1e-5}
def open_session(path, provider="cpu"):
    o=ort.SessionOptions(); o.log_severity_level=3
    return ort.InferenceSession(str(path),o,providers=["CPUExecutionProvider"])
def compare_cases(cases, run, tol):
    checks=[]
    for c in cases:
        try: got=run(c)
        except Exception as e:
            checks.append(Check(name=c.name,output="",error=None,bound=tol,passed=False,note=str(e)[:300])); continue
        for k,e in c.outputs.items():
            g=got[k]
            if g.shape!=e.shape or g.dtype!=e.dtype:
                checks.append(Check(name=c.name,output=k,error=None,bound=tol,passed=False,note=f"shape {g.shape}/{e.shape} {g.dtype}/{e.dtype}")); continue
            if e.dtype.kind!="f": err=0.0 if (g==e).all() else 1.0
            else: err=float(np.nanmax(np.abs(g-e))) if e.size else 0.0
            b=tol*max(1,float(np.nanmax(np.abs(e))) if e.size and e.dtype.kind=="f" else 1)
            checks.append(Check(name=c.name,output=k,error=err,bound=b,passed=err<=b))
    return checks
